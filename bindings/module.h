/// The parts of the module _core that nanobind makes.
#pragma once

#include <nanobind/nanobind.h>

namespace odb {

void add_connection(nanobind::module_& module);
void add_server(nanobind::module_& module);
void add_stored(nanobind::module_& module);
void add_schema_tools(nanobind::module_& module);
void add_events(nanobind::module_& module);

}  // namespace odb
