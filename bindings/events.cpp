#include "core/net/events.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <limits>

#include "bindings/commit.h"
#include "bindings/errors.h"
#include "bindings/gil.h"
#include "bindings/module.h"
#include "bindings/notes.h"

namespace nb = nanobind;

namespace odb {
namespace {

using Clock = std::chrono::steady_clock;

/// The events of a connection, for the thread that takes them. Does not keep the connection.
struct Events {
  std::shared_ptr<EventQueue> queue;
};

struct Verdict {
  CommitEvent event;
};
struct Changes {
  ChangeSet set;
};

/// ("commit", token, Outcome), ("changes", Changes), ("lost", all so far, last reason), ("woken",), ("end",) or None at
/// the timeout; timeout_s < 0: for ever.
nb::object next_event(const Events& events, bool may_tell_losses, double timeout_s) {
  EventQueue::Deadline deadline;
  if (timeout_s >= 0)
    deadline = Clock::now() +
               std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(timeout_s, 1e9)));
  EventQueue::Event event;
  EventQueue::News news;
  std::shared_ptr<EventQueue> queue = events.queue;
  {
    NoGil no_gil;
    news = queue->next(event, may_tell_losses, deadline);
  }
  switch (news) {
    case EventQueue::News::kEvent: break;
    case EventQueue::News::kLost: {
      EventQueue::Losses losses = queue->losses();
      return nb::make_tuple("lost", losses.count, losses.last_reason);
    }
    case EventQueue::News::kNothing: return nb::none();
    case EventQueue::News::kWoken: return nb::make_tuple("woken");
    case EventQueue::News::kEnd: return nb::make_tuple("end");
  }
  if (auto* outcome = std::get_if<CommitEvent>(&event))
    return nb::make_tuple("commit", outcome->token, Verdict{std::move(*outcome)});
  return nb::make_tuple("changes", Changes{std::move(std::get<ChangeSet>(event))});
}

/// The exception that a confirmed commit would have raised, or None.
nb::object error_of(const Connection& connection, const Verdict& outcome) {
  PyObject* error = commit_error(connection, outcome.event);
  if (error == nullptr && PyErr_Occurred()) throw_python_error();
  return error == nullptr ? nb::object(nb::none()) : nb::steal(error);
}

nb::object owned(PyObject* object) {
  if (object == nullptr) throw_python_error();
  return nb::steal(object);
}

/// No finalizer of the program runs while this lives: nothing is collected.
class NoCollection {
 public:
  NoCollection() : was_enabled_(PyGC_Disable() == 1) {}
  NoCollection(const NoCollection&) = delete;
  NoCollection& operator=(const NoCollection&) = delete;
  ~NoCollection() {
    if (was_enabled_) PyGC_Enable();
  }

 private:
  bool was_enabled_;
};

/// (writes, set_adds, set_removes, tid) as transaction handlers are given it. Runs no Python code, in which the thread
/// could be ended with its interpreter (gil.h) while all these objects are held.
nb::tuple told(const Connection& connection, Changes& changes) {
  NoCollection no_collection;
  changes.set.compact();  // a key that was written twice is told once
  nb::dict writes, adds, removes;
  changes.set.each_write([&](const ChangeSet::Write& write) {
    uint32_t mark = write.field == ChangeSet::kExistence ? 0 : write.field.value + 1;
    nb::object key = owned(new_object_field_id(write.object, number_of_mark(write.type, mark)));
    writes[key] = write.value.empty() ? nb::object(nb::none()) : owned(new_bytes(write.value));
  });
  changes.set.each_membership([&](const ChangeSet::Membership& member) {
    nb::object key;
    if (member.index == ChangeSet::kTypeSet) {
      key = owned(new_index_id(number_of_type_set(member.type), key_of_type_set()));
    } else {
      DatabaseType* type = connection.type_of(member.type);
      if (type == nullptr) return;  // of a type that this program does not use
      const TypeLayout& layout = connection.bound(*type)->table->layout();
      key = owned(new_index_id(number_of_index(layout, member.index), member.key));
    }
    nb::dict& sets = member.is_added ? adds : removes;
    if (!sets.contains(key)) sets[key] = nb::list();
    nb::cast<nb::list>(sets[key]).append(member.object.value);
  });
  for (nb::dict* sets : {&adds, &removes}) {
    for (auto [key, objects] : nb::dict(*sets)) {
      nb::list sorted = nb::borrow<nb::list>(objects);
      sorted.sort();
      (*sets)[key] = nb::tuple(sorted);
    }
  }
  return nb::make_tuple(writes, adds, removes, changes.set.tid.value);
}

}  // namespace

void add_events(nb::module_& module) {
  nb::class_<Verdict>(module, "Outcome");
  nb::class_<Changes>(module, "Changes");
  nb::class_<Events>(module, "Events")
      .def("__init__",
           [](Events* self, const Connection& connection) { new (self) Events{connection.client->events()}; })
      .def("next", &next_event)
      .def("wake", [](const Events& self) { self.queue->wake(); })
      .def("become_dispatcher", [](const Events& self) { become_dispatcher(*self.queue); })
      .def("losses", [](const Events& self) { return self.queue->losses().count; });
  module.def("commit_error", &error_of);
  module.def("told_changes", &told);
  module.def("collect_changes", [](const Connection& connection, bool is_wanted) {
    std::shared_ptr<Pending> pending = connection.client->collect_changes(is_wanted);
    if (!wait_for(*pending, -1, "InternalError", "")) throw_python_error();  // the I/O thread answers
    if (is_wanted) raise_if_failed(pending->status());
  });
}

}  // namespace odb
