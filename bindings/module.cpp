/// The module object_database._core.
#include <nanobind/nanobind.h>

#include "bindings/codecs.h"
#include "bindings/convert.h"
#include "bindings/definition.h"
#include "bindings/errors.h"
#include "bindings/frozen_dict.h"
#include "bindings/module.h"
#include "bindings/object_type.h"
#include "bindings/view.h"
#include "core/base/check.h"

namespace nb = nanobind;

NB_MODULE(_core, module) {
  nb::set_leak_warnings(false);  // what a program still holds when the interpreter ends is no leak of ours
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const odb::InternalError& broken) { odb::set_error("InternalError", broken.what()); }
  });
  if (!odb::add_object_types(module.ptr()) || !odb::add_definition_functions(module.ptr()) ||
      !odb::add_frozen_dict(module.ptr()) || !odb::add_convert_functions(module.ptr()) ||
      !odb::add_codec_functions(module.ptr()) || !odb::add_view_types(module.ptr()))
    odb::throw_python_error();
  odb::add_connection(module);
  odb::add_server(module);
  odb::add_stored(module);
  odb::add_schema_tools(module);
  odb::add_events(module);
}
