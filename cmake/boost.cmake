# Boost, headers only: from the wheel boost-headers (the pinned one), or from ODB_BOOST_INCLUDE, e.g. Debian's libboost1.81-dev.
# 1.81 is the first with unordered_flat_map.

set(ODB_BOOST_INCLUDE "" CACHE PATH "Folder that holds boost/version.hpp; empty: ask the Python package boost-headers")

if(ODB_BUILD_PYTHON)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
else()
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter)
endif()

set(boost_include "${ODB_BOOST_INCLUDE}")
if(NOT boost_include)
  execute_process(COMMAND ${Python_EXECUTABLE} -c "import boost_headers as b; print(b.get_include())"
    OUTPUT_VARIABLE boost_include OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT EXISTS "${boost_include}/boost/unordered/unordered_flat_map.hpp")
  message(FATAL_ERROR "Boost headers (1.81 or later) are missing: looked in '${boost_include}' and in the package boost-headers "
    "of ${Python_EXECUTABLE}. Run: ${Python_EXECUTABLE} -m pip install boost-headers==1.85.0.post1, "
    "or on Debian: apt-get install libboost1.81-dev and set ODB_BOOST_INCLUDE=/usr/include")
endif()

add_library(odb_boost INTERFACE)
target_include_directories(odb_boost SYSTEM INTERFACE "${boost_include}")
