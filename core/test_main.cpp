// The main() of both C++ test programs: Boost.Test's header-only variant, compiled here and nowhere else.
// Test files include <boost/test/unit_test.hpp> and define no module.
#define BOOST_TEST_MODULE object_database
#include <boost/test/included/unit_test.hpp>
