# The module object_database/_core. nanobind adds -Os unless told NOMINSIZE; NOSTRIP leaves stripping to the installer.

file(GLOB bindings CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bindings/*.cpp)
list(FILTER bindings EXCLUDE REGEX "_test\\.cpp$")
if(NOT bindings OR NOT TARGET odb_core)
  message(FATAL_ERROR "The sources of the Python module (bindings/*.cpp, core/*/*.cpp) are missing from ${PROJECT_SOURCE_DIR}")
endif()

execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
  OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)

nanobind_add_module(_core NB_STATIC NOMINSIZE NOSTRIP ${bindings})
if(TARGET odb_net)
  target_link_libraries(_core PRIVATE odb_net)
else()
  target_link_libraries(_core PRIVATE odb_core)
endif()
install(TARGETS _core LIBRARY DESTINATION object_database)
