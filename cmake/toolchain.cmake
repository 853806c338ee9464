# The compiler and how every file is compiled.

include(CheckLanguage)
check_language(CXX)
if(NOT CMAKE_CXX_COMPILER)
  message(FATAL_ERROR "A C++20 compiler is missing. Debian, Ubuntu: apt-get install g++")
endif()
enable_language(CXX)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 11)
  message(FATAL_ERROR "g++ ${CMAKE_CXX_COMPILER_VERSION} is too old for C++20: 11 or later is needed. "
    "Debian, Ubuntu: apt-get install g++-12, then build with CXX=g++-12")
endif()

if(DEFINED SKBUILD)
  set(built_by_pip ON)
else()
  set(built_by_pip OFF)
endif()
option(ODB_BUILD_PYTHON "Build the Python module" ${built_by_pip})
option(ODB_BUILD_TESTS "Build the C++ tests and the simulator" OFF)
option(ODB_BUILD_FUZZ "Build the fuzz targets (clang only)" OFF)
option(ODB_BUILD_BENCH "Build benchmarks/*.cpp" OFF)
option(ODB_WERROR "Warnings are errors" OFF)
option(ODB_LTO "Link-time optimisation" OFF)
set(ODB_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize: address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
if(ODB_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")  # -O2 -g doubles the compile time of an Asio file under ASan
endif()

if(ODB_LTO)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# Frame pointers cost nothing measurable and give perf and the sanitizers whole stacks.
add_compile_options(-fno-omit-frame-pointer)
if(ODB_SANITIZE)
  add_compile_options(-fsanitize=${ODB_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ODB_SANITIZE})
endif()
if(ODB_BUILD_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    set(is_fuzz_compiler OFF)
  elseif(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)  # cannot compile std::ranges::subrange of g++'s library
    set(is_fuzz_compiler OFF)
  else()
    set(is_fuzz_compiler ON)
  endif()
  if(NOT is_fuzz_compiler)
    message(FATAL_ERROR "Fuzz targets need clang++ 16 or later, this is ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}. "
      "Debian, Ubuntu: apt-get install clang-19 libclang-rt-19-dev, then CLANGXX=clang++-19")
  endif()
  # clang warns inside of g++'s own std::stable_sort, hence the last option
  add_compile_options(-Wno-deprecated-declarations -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()

# What only our own files are compiled with; headers of others come in as SYSTEM.
add_library(odb_options INTERFACE)
target_include_directories(odb_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(odb_options INTERFACE -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local> $<$<BOOL:${ODB_WERROR}>:-Werror>)

find_package(Threads REQUIRED)
