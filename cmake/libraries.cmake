# odb_core: floors 0 to 5, pure: no Python, OpenSSL, sockets, clocks or threads.   odb_net: floor 6, with Asio and OpenSSL.

set(core_sources "")
foreach(folder base types codec store view commit protocol client server)
  file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/${folder}/*.cpp)
  list(APPEND core_sources ${found})
endforeach()
list(FILTER core_sources EXCLUDE REGEX "_test(ing)?\\.cpp$")
if(core_sources)
  add_library(odb_core STATIC ${core_sources})
  target_link_libraries(odb_core PUBLIC odb_options odb_boost Threads::Threads)
endif()

file(GLOB net_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/net/*.cpp)
list(FILTER net_sources EXCLUDE REGEX "_test\\.cpp$")
if(net_sources AND TARGET odb_core AND NOT ODB_BUILD_FUZZ)
  find_package(OpenSSL 3.0)
  if(NOT OpenSSL_FOUND)
    message(FATAL_ERROR "OpenSSL 3 headers are missing. Debian, Ubuntu: apt-get install libssl-dev")
  endif()
  add_library(odb_net STATIC ${net_sources})
  target_compile_definitions(odb_net PUBLIC BOOST_ASIO_NO_DEPRECATED BOOST_ERROR_CODE_HEADER_ONLY
    BOOST_SYSTEM_NO_DEPRECATED BOOST_DATE_TIME_NO_LIB BOOST_REGEX_NO_LIB)
  if(ODB_SANITIZE MATCHES "thread")
    # ThreadSanitizer does not know fences. Asio's own ones only back up the mutex that handlers are passed through.
    target_compile_definitions(odb_net PUBLIC BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
  target_link_libraries(odb_net PUBLIC odb_core OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
endif()
