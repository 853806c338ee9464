#include "bindings/times.h"

#include <datetime.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "bindings/errors.h"
#include "bindings/gil.h"
#include "bindings/ref.h"

namespace odb {
namespace {

using Kind = FieldKind;

constexpr int64_t kSecondUs = 1'000'000;

struct Classes {
  PyTypeObject* decimal = nullptr;
  PyTypeObject* uuid = nullptr;
  PyObject* safe_unknown = nullptr;  // SafeUUID.unknown
  PyObject *name_int = nullptr, *name_is_safe = nullptr, *sixty_four = nullptr;
};
Classes classes;  // owned for ever

PyTypeObject* class_in(const char* module, const char* name) {
  PyObject* found = member_of(module, name);
  return found == nullptr ? nullptr : reinterpret_cast<PyTypeObject*>(Py_NewRef(found));
}

/// The class when its module was imported by anybody, so that there can be values of it.
PyTypeObject* known_class(PyTypeObject*& cached, const char* module, const char* name) {
  if (cached != nullptr) return cached;
  Ref imported = Ref::steal(PyUnicode_FromString(module));
  Ref found = imported ? Ref::steal(PyImport_GetModule(imported.get())) : Ref();
  if (found) cached = class_in(module, name);
  PyErr_Clear();
  return cached;
}

// ---- the calendar: days since 1970-01-01 in the proleptic Gregorian calendar

struct Date {
  int year, month, day;
};

constexpr int64_t kMarchOfYearZero = -719'468;  // years are counted from March, so that a leap day is their last
constexpr int64_t kDateMin = -719'162,
                  kDateMax = 2'932'896;  // 0001-01-01 and 9999-12-31, which Python's dates go up to

/// REQUIRES: a date of Python's.
int64_t days_of(Date date) {
  auto year = static_cast<uint32_t>(date.year - (date.month <= 2 ? 1 : 0));
  auto month = static_cast<uint32_t>(date.month > 2 ? date.month - 3 : date.month + 9);
  uint32_t day_of_year = (153 * month + 2) / 5 + static_cast<uint32_t>(date.day) - 1;
  return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year + kMarchOfYearZero;
}

/// Of what is none of Python's dates: one that Python refuses. 32 bits, because 64 take twice the time; 400 years are one
/// era of 146,097 days.
Date date_of(int64_t days) {
  if (days < kDateMin || days > kDateMax) return {0, 1, 1};
  auto day = static_cast<uint32_t>(days - kMarchOfYearZero);
  uint32_t era = day / 146'097, day_of_era = day % 146'097;
  uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  uint32_t month = (5 * day_of_year + 2) / 153;
  uint32_t year = year_of_era + era * 400 + (month < 10 ? 0 : 1);
  return {static_cast<int>(year), static_cast<int>(month < 10 ? month + 3 : month - 9),
          static_cast<int>(day_of_year - (153 * month + 2) / 5 + 1)};
}

struct Days {
  int64_t days, rest_us;  // the rest is never below 0
};
Days days_of(int64_t us) {
  int64_t days = us / kDayUs, rest = us % kDayUs;
  return rest < 0 ? Days{days - 1, rest + kDayUs} : Days{days, rest};
}

/// None when they are more than 64 bits hold.
std::optional<int64_t> microseconds_of(PyObject* delta) {
  int64_t seconds = PyDateTime_DELTA_GET_DAYS(delta) * int64_t{86'400} + PyDateTime_DELTA_GET_SECONDS(delta);
  int64_t rest = PyDateTime_DELTA_GET_MICROSECONDS(delta), us = 0;
  if (seconds < 0) {  // both of one sign, so that neither step is further from 0 than the sum
    ++seconds;
    rest -= kSecondUs;
  }
  if (__builtin_mul_overflow(seconds, kSecondUs, &us) || __builtin_add_overflow(us, rest, &us)) return std::nullopt;
  return us;
}

PyObject* new_delta(int64_t us) {
  auto [days, rest] = days_of(us);
  return PyDelta_FromDSU(static_cast<int>(days), static_cast<int>(rest / kSecondUs),
                         static_cast<int>(rest % kSecondUs));
}

// ---- encoding

Fit encode_datetime(PyObject* value, Bytes& out) {
  int64_t days = days_of({PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value)});
  int64_t seconds = PyDateTime_DATE_GET_HOUR(value) * 3600 + PyDateTime_DATE_GET_MINUTE(value) * 60 +
                    PyDateTime_DATE_GET_SECOND(value);
  int64_t us = days * kDayUs + seconds * kSecondUs + PyDateTime_DATE_GET_MICROSECOND(value);
  PyObject* zone = PyDateTime_DATE_GET_TZINFO(value);
  if (zone == Py_None) {
    put_datetime_naive(out, us);
    return Fit::kTaken;
  }
  if (zone == PyDateTime_TimeZone_UTC) {
    put_datetime_aware(out, us, 0);
    return Fit::kTaken;
  }
  Ref offset = Ref::steal(run_python([value] {  // its tzinfo may be a class of the program
    return PyObject_CallMethod(reinterpret_cast<PyObject*>(PyDateTimeAPI->DateTimeType), "utcoffset", "O", value);
  }));
  if (!offset) return Fit::kFailed;
  if (offset.get() == Py_None) {  // a tzinfo without an offset leaves it naive
    put_datetime_naive(out, us);
    return Fit::kTaken;
  }
  int64_t offset_us = microseconds_of(offset.get()).value();  // less than a day
  put_datetime_aware(out, us - offset_us, offset_us);
  return Fit::kTaken;
}

Fit encode_time(PyObject* value, Bytes& out, std::string& fault) {
  if (PyDateTime_TIME_GET_TZINFO(value) != Py_None) {
    fault = "a time with a tzinfo cannot be stored: without a date its offset is not known; store a datetime";
    return Fit::kNot;
  }
  int64_t seconds = PyDateTime_TIME_GET_HOUR(value) * 3600 + PyDateTime_TIME_GET_MINUTE(value) * 60 +
                    PyDateTime_TIME_GET_SECOND(value);
  put_time(out, seconds * kSecondUs + PyDateTime_TIME_GET_MICROSECOND(value));
  return Fit::kTaken;
}

Fit encode_timedelta(PyObject* value, Bytes& out, std::string& fault) {
  std::optional<int64_t> us = microseconds_of(value);
  if (!us) {
    fault = "a timedelta of " + std::to_string(PyDateTime_DELTA_GET_DAYS(value)) +
            " days cannot be stored: it takes 2^63 microseconds, 106,751,991 days, either way";
    return Fit::kNot;
  }
  put_timedelta(out, *us);
  return Fit::kTaken;
}

/// Through the text of Decimal itself, which is exact: [-]digits[.digits][E[+-]exponent].
Fit encode_decimal(PyObject* value, Bytes& out, std::string& fault) {
  Ref text = Ref::steal(classes.decimal->tp_str(value));
  Py_ssize_t size = 0;
  const char* at = text ? PyUnicode_AsUTF8AndSize(text.get(), &size) : nullptr;
  if (at == nullptr) return Fit::kFailed;
  const char* end = at + size;
  bool is_negative = at != end && *at == '-';
  if (is_negative) ++at;
  Bytes digits;
  int64_t exponent = 0;
  bool is_fraction = false;
  for (; at != end && *at != 'E' && *at != 'e'; ++at) {  // decimal.getcontext().capitals
    if (*at == '.') {
      is_fraction = true;
    } else if (*at >= '0' && *at <= '9') {
      digits += *at;
      if (is_fraction) --exponent;
    } else {
      fault = "a Decimal that is no finite number cannot be stored";
      return Fit::kNot;
    }
  }
  if (at != end) {
    int64_t scale = 0;
    ++at;
    if (at != end && *at == '+') ++at;
    std::from_chars(at, end, scale);
    exponent += scale;
  }
  if (put_decimal(out, is_negative, digits, exponent)) return Fit::kTaken;
  fault = "a Decimal has at most " + std::to_string(limits::kDecimalDigitsMax) + " digits and an exponent of at most " +
          std::to_string(limits::kDecimalExponentMax) + " either way";
  return Fit::kNot;
}

Fit encode_uuid(PyObject* value, Bytes& out) {
  Ref number = Ref::steal(PyObject_GenericGetAttr(value, classes.name_int));
  Ref high = number ? Ref::steal(PyNumber_Rshift(number.get(), classes.sixty_four)) : Ref();
  if (!high) return Fit::kFailed;
  uint64_t parts[2] = {PyLong_AsUnsignedLongLongMask(high.get()), PyLong_AsUnsignedLongLongMask(number.get())};
  if (PyErr_Occurred()) return Fit::kFailed;
  char bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = static_cast<char>(parts[i / 8] >> (56 - 8 * (i % 8)));
  put_uuid(out, {bytes, 16});
  return Fit::kTaken;
}

// ---- decoding

PyObject* new_zone(int64_t offset_us) {
  if (offset_us == 0) return Py_NewRef(PyDateTime_TimeZone_UTC);
  Ref delta = Ref::steal(new_delta(offset_us));
  return delta ? PyTimeZone_FromOffset(delta.get()) : nullptr;
}

PyObject* new_datetime(int64_t local_us, PyObject* zone) {
  auto [days, rest] = days_of(local_us);
  Date date = date_of(days);
  auto seconds = static_cast<int>(rest / kSecondUs);
  return PyDateTimeAPI->DateTime_FromDateAndTime(date.year, date.month, date.day, seconds / 3600, seconds / 60 % 60,
                                                 seconds % 60, static_cast<int>(rest % kSecondUs), zone,
                                                 PyDateTimeAPI->DateTimeType);
}

PyObject* decode_time(Reader& in) {
  auto us = static_cast<int64_t>(in.big_endian(8));
  auto seconds = static_cast<int>(us / kSecondUs);
  return PyTime_FromTime(seconds / 3600, seconds / 60 % 60, seconds % 60, static_cast<int>(us % kSecondUs));
}

[[gnu::noinline]] PyObject* decode_decimal(Reader& in) {
  DecimalParts parts;
  in.decimal_after_kind(&parts);
  char text[limits::kDecimalDigitsMax + 32];
  char* at = text;
  if (parts.is_negative) *at++ = '-';
  at = std::ranges::copy(parts.digits(), at).out;
  *at++ = 'E';
  at = std::to_chars(at, text + sizeof text, parts.exponent).ptr;
  Ref shown = Ref::steal(PyUnicode_New(at - text, 127));
  if (shown) std::copy(text, at, static_cast<char*>(PyUnicode_DATA(shown.get())));
  return shown ? PyObject_CallOneArg(reinterpret_cast<PyObject*>(classes.decimal), shown.get()) : nullptr;
}

/// As UUID.__setstate__ does it: __init__ takes a microsecond, and refuses nothing of what 16 bytes can be.
PyObject* decode_uuid(Reader& in) {
  uint64_t high = in.big_endian(8), low = in.big_endian(8);
  Ref left = Ref::steal(PyLong_FromUnsignedLongLong(high)), right = Ref::steal(PyLong_FromUnsignedLongLong(low));
  if (!left || !right) return nullptr;
  Ref shifted = Ref::steal(PyNumber_Lshift(left.get(), classes.sixty_four));
  Ref number = shifted ? Ref::steal(PyNumber_Or(shifted.get(), right.get())) : Ref();
  if (!number) return nullptr;
  Ref made = Ref::steal(classes.uuid->tp_alloc(classes.uuid, 0));
  if (!made || PyObject_GenericSetAttr(made.get(), classes.name_int, number.get()) < 0 ||
      PyObject_GenericSetAttr(made.get(), classes.name_is_safe, classes.safe_unknown) < 0)
    return nullptr;
  return made.release();
}

}  // namespace

bool load_standard_classes() {
  if (PyDateTimeAPI == nullptr) PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) return false;
  if (classes.decimal == nullptr) classes.decimal = class_in("decimal", "Decimal");
  if (classes.decimal == nullptr) return false;
  if (classes.safe_unknown != nullptr) return true;
  if (classes.uuid == nullptr) classes.uuid = class_in("uuid", "UUID");
  PyObject* safe = classes.uuid == nullptr ? nullptr : member_of("uuid", "SafeUUID");
  classes.name_int = PyUnicode_InternFromString("int");
  classes.name_is_safe = PyUnicode_InternFromString("is_safe");
  classes.sixty_four = PyLong_FromLong(64);
  if (safe == nullptr || classes.name_int == nullptr || classes.name_is_safe == nullptr ||
      classes.sixty_four == nullptr)
    return false;
  classes.safe_unknown = PyObject_GetAttrString(safe, "unknown");
  return classes.safe_unknown != nullptr;
}

Kind standard_kind_of(PyObject* value) {
  if (PyDateTimeAPI == nullptr) {
    PyTypeObject* delta = nullptr;
    if (known_class(delta, "datetime", "timedelta") == nullptr) return Kind::kNone;
    Py_DECREF(delta);
    PyDateTime_IMPORT;
    PyErr_Clear();
    if (PyDateTimeAPI == nullptr) return Kind::kNone;
  }
  if (PyDateTime_Check(value)) return Kind::kDatetime;
  if (PyDate_Check(value)) return Kind::kDate;
  if (PyTime_Check(value)) return Kind::kTime;
  if (PyDelta_Check(value)) return Kind::kTimedelta;
  PyTypeObject* decimal = known_class(classes.decimal, "decimal", "Decimal");
  if (decimal != nullptr && PyObject_TypeCheck(value, decimal)) return Kind::kDecimal;
  PyTypeObject* uuid = known_class(classes.uuid, "uuid", "UUID");
  if (uuid != nullptr && PyObject_TypeCheck(value, uuid)) return Kind::kUuid;
  return Kind::kNone;
}

Fit encode_standard(PyObject* value, Kind kind, Bytes& out, std::string& fault) {
  if (standard_kind_of(value) != kind) return Fit::kNot;
  switch (kind) {
    case Kind::kDatetime: return encode_datetime(value, out);
    case Kind::kTime: return encode_time(value, out, fault);
    case Kind::kTimedelta: return encode_timedelta(value, out, fault);
    case Kind::kDecimal: return encode_decimal(value, out, fault);
    case Kind::kUuid: return load_standard_classes() ? encode_uuid(value, out) : Fit::kFailed;
    case Kind::kDate:
      put_date(out, static_cast<int32_t>(
                        days_of({PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value)})));
      return Fit::kTaken;
    default: return Fit::kNot;
  }
}

Kind standard_kind_of_head(uint8_t head) {
  switch (head) {
    case kind::kDatetimeAware:
    case kind::kDatetimeNaive: return Kind::kDatetime;
    case kind::kDate: return Kind::kDate;
    case kind::kTime: return Kind::kTime;
    case kind::kTimedelta: return Kind::kTimedelta;
    case kind::kDecimal: return Kind::kDecimal;
    case kind::kUuid: return Kind::kUuid;
    default: return Kind::kNone;
  }
}

PyObject* decode_standard(Reader& in, uint8_t head) {
  if (classes.safe_unknown == nullptr && !load_standard_classes()) return nullptr;
  switch (head) {
    case kind::kDatetimeNaive: return new_datetime(in.biased(8), Py_None);
    case kind::kDatetimeAware: {
      int64_t us = in.biased(8), offset_us = in.integer();
      Ref zone = Ref::steal(new_zone(offset_us));
      return zone ? new_datetime(us + offset_us, zone.get()) : nullptr;
    }
    case kind::kDate: {
      Date date = date_of(in.biased(4));
      return PyDate_FromDate(date.year, date.month, date.day);
    }
    case kind::kTime: return decode_time(in);
    case kind::kTimedelta: return new_delta(in.biased(8));
    case kind::kDecimal: return decode_decimal(in);
    default: return decode_uuid(in);
  }
}

}  // namespace odb
