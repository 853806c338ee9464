#include "core/codec/value.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <tuple>

#include "core/base/check.h"

namespace odb {
namespace {

class Encoder {
 public:
  Encoder(Bytes& out, Mode mode) : out_(out), mode_(mode) {}

  void operator()(std::monostate) { put_none(out_); }
  void operator()(bool v) { put_bool(out_, v); }
  void operator()(int64_t v) { put_int(out_, v); }
  void operator()(double v) { put_float(out_, v, mode_); }
  void operator()(const Text& v) { put_str(out_, v.utf8, mode_); }
  void operator()(const Blob& v) { put_bytes(out_, v.bytes, mode_); }
  void operator()(const Reference& v) { put_reference(out_, v.type, v.object); }
  void operator()(const LargeInt& v) { put_unsigned(out_, v.value); }
  void operator()(const Datetime& v) {
    if (!v.offset_us) return put_datetime_naive(out_, v.us);
    put_datetime_aware(out_, v.us, *v.offset_us);
    if (mode_ == Mode::kKey) out_.resize(out_.size() - size_of_int(*v.offset_us));
  }
  void operator()(const Date& v) { put_date(out_, v.days); }
  void operator()(const TimeOfDay& v) { put_time(out_, v.us); }
  void operator()(const Timedelta& v) { put_timedelta(out_, v.us); }
  void operator()(const Uuid& v) { put_uuid(out_, {v.bytes.data(), v.bytes.size()}); }

  void operator()(const Decimal& v) {
    Bytes stored;
    ODB_CHECK(put_decimal(stored, v.is_negative, v.digits, v.exponent));
    if (mode_ == Mode::kValue) {
      out_ += stored;
    } else {
      append_key(out_, stored);
    }
  }

  void operator()(const Composite& v) {
    bool is_key = mode_ == Mode::kKey;
    switch (v.kind) {
      case kind::kTuple:
      case kind::kSet:
      case kind::kDict: return put_items(v, v.kind == kind::kDict ? 2 : 1);
      case kind::kRecord: put_record_value_head(out_, v.tag); return put_marked(v);
      case kind::kAlternative: put_alternative_head(out_, v.tag, v.arm); return put_marked(v);
      default:
        out_.push_back(static_cast<char>(v.kind));
        if (is_key) {
          put_escaped(out_, v.text);
        } else {
          put_varint(out_, v.text.size());
          out_ += v.text;
        }
        if (v.kind == kind::kCodec) std::visit(*this, v.values[0]);
    }
  }

 private:
  static size_t size_of_int(int64_t value) {
    Bytes bytes;
    put_int(bytes, value);
    return bytes.size();
  }

  void put_items(const Composite& v, size_t values_each) {
    out_.push_back(static_cast<char>(v.kind));
    if (mode_ == Mode::kValue) put_varint(out_, v.values.size() / values_each);
    for (size_t i = 0; i < v.values.size(); ++i) {
      if (mode_ == Mode::kKey && i % values_each == 0) out_.push_back('\1');
      std::visit(*this, v.values[i]);
    }
    if (mode_ == Mode::kKey) out_.push_back('\0');
  }

  void put_marked(const Composite& v) {
    bool is_key = mode_ == Mode::kKey;
    for (size_t i = 0; i < v.values.size() && !(is_key && v.marks[i] == mark::kEqual); ++i) {
      out_.push_back(static_cast<char>(v.marks[i]));
      std::visit(*this, v.values[i]);
    }
    out_.push_back(static_cast<char>(is_key ? mark::kEqual : mark::kEnd));
  }

  Bytes& out_;
  Mode mode_;
};

/// Reads one value and fails the reader when it is not canonical. It shares the reading of scalars with Reader::value, but judges order
/// by the keys of what it read, so that the two check each other.
class Decoder {
 public:
  Decoder(Reader& in, Mode mode) : in_(in), mode_(mode) {}

  Value value(int depth_left) {
    uint8_t head = in_.peek();
    if (head >= kind::kIntMin && head <= kind::kIntMax) {
      if (in_.is_large_integer()) return LargeInt{in_.unsigned_integer()};
      return in_.integer();
    }
    in_.byte();
    switch (head) {
      case kind::kNone: return std::monostate{};
      case kind::kFalse: return false;
      case kind::kTrue: return true;
      case kind::kStr: {
        Text read{text()};
        require(is_valid_utf8(read.utf8));
        return read;
      }
      case kind::kBytes: return Blob{text()};
      case kind::kFloat: {
        double number = in_.float_after_kind();
        bool is_negative_zero = number == 0.0 && std::signbit(number);
        require(mode_ == Mode::kValue || !is_negative_zero);
        return number;
      }
      case kind::kReference: {
        int64_t type = in_.integer();
        int64_t object = in_.integer();
        require(type >= 1 && type <= INT32_MAX && object >= 0);
        return Reference{TypeId{static_cast<uint32_t>(type)}, ObjectId{object}};
      }
      case kind::kDatetimeAware: {
        Datetime read{in_.biased(8), 0};
        if (mode_ == Mode::kValue) {
          read.offset_us = in_.integer();
          require(is_aware_datetime(read.us, *read.offset_us));
        } else {  // a key does not tell how far local time was away: less than a day
          require(read.us > kDatetimeMinUs - kDayUs && read.us < kDatetimeMaxUs + kDayUs);
        }
        return read;
      }
      case kind::kDatetimeNaive: {
        Datetime read{in_.biased(8), std::nullopt};
        require(read.us >= kDatetimeMinUs && read.us <= kDatetimeMaxUs);
        return read;
      }
      case kind::kDate: {
        int64_t days = in_.biased(4);
        require(days >= kDateMin && days <= kDateMax);
        return Date{static_cast<int32_t>(days)};
      }
      case kind::kTime: {
        uint64_t us = in_.big_endian(8);
        require(us < static_cast<uint64_t>(kDayUs));
        return TimeOfDay{static_cast<int64_t>(us)};
      }
      case kind::kTimedelta: return Timedelta{in_.biased(8)};
      case kind::kUuid: {
        Uuid read{};
        in_.take(16).copy(read.bytes.data(), 16);
        return read;
      }
      case kind::kDecimal: {
        DecimalParts parts;
        in_.decimal_after_kind(&parts, mode_);
        return Decimal{parts.is_negative, std::string(parts.digits()), parts.exponent};
      }
      default: return composite(head, depth_left - 1);
    }
  }

 private:
  void require(bool claim) {
    if (!claim) in_.fail();
  }

  Value composite(uint8_t head, int depth_left) {
    require(depth_left >= 0 || head == kind::kPickle);  // which holds bytes, no values
    Composite read;
    read.kind = head;
    switch (head) {
      case kind::kTuple: items(read, 1, false, depth_left); break;
      case kind::kSet: items(read, 1, true, depth_left); break;
      case kind::kDict: items(read, 2, true, depth_left); break;
      case kind::kRecord:
      case kind::kAlternative:
        read.tag = in_.tag();
        if (head == kind::kAlternative) read.arm = in_.arm();
        fields(read, depth_left);
        break;
      case kind::kCodec:
        read.text = text();
        require(is_valid_utf8(read.text));
        if (in_.is_ok()) read.values.push_back(value(depth_left));
        break;
      case kind::kPickle: read.text = text(); break;
      default: in_.fail();
    }
    return read;
  }

  bool is_another(size_t& left) {
    if (!in_.is_ok()) return false;
    if (mode_ == Mode::kValue) return left-- > 0;
    uint8_t more = in_.byte();
    require(more <= 1);
    return in_.is_ok() && more == 1;
  }

  void items(Composite& read, size_t values_each, bool is_ascending, int depth_left) {
    size_t left = mode_ == Mode::kValue ? in_.count(values_each) : 0;
    Bytes before;
    while (is_another(left)) {
      read.values.push_back(value(depth_left));
      if (!in_.is_ok()) return;
      if (is_ascending) {
        Bytes key = encode(read.values.back(), Mode::kKey);
        require(before < key);
        before = std::move(key);
      }
      if (values_each == 2) read.values.push_back(value(depth_left));
    }
  }

  void fields(Composite& read, int depth_left) {
    uint8_t end = mode_ == Mode::kKey ? mark::kEqual : mark::kEnd;
    for (uint8_t mark; in_.is_ok() && (mark = in_.byte()) != end;) {
      bool is_behind_equal = !read.marks.empty() && read.marks.back() == mark::kEqual && mark != mark::kEqual;
      require(mark != mark::kEnd && mark <= mark::kGreater && !is_behind_equal);
      require(read.marks.size() < limits::kFieldsPerTypeMax);
      if (!in_.is_ok()) return;
      read.marks.push_back(mark);
      read.values.push_back(value(depth_left));
    }
  }

  Bytes text() {
    if (mode_ == Mode::kValue) return Bytes(in_.text());
    Bytes text;
    while (in_.is_ok()) {
      uint8_t c = in_.byte();
      if (c != 0) {
        text.push_back(static_cast<char>(c));
        continue;
      }
      uint8_t next = in_.byte();
      if (next == 0x01 && in_.is_ok()) return text;
      if (next != 0xff) in_.fail();
      text.push_back('\0');
    }
    return text;
  }

  Reader& in_;
  Mode mode_;
};

template <class... Parts>
std::string format(const char* pattern, Parts... parts) {
  char buffer[64];
  int size = std::snprintf(buffer, sizeof buffer, pattern, parts...);
  return {buffer, static_cast<size_t>(size)};
}

/// The fewest digits that give the number again, as Python shows it.
std::string show_float(double number) {
  if (std::isnan(number)) return "nan";
  std::string text;
  for (int digits = 1; digits <= 17; ++digits) {
    text = format("%.*g", digits, number);
    if (std::strtod(text.c_str(), nullptr) == number) break;
  }
  return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
}

/// Years of 365.2425 days are counted from the first of March, so that a leap day is the last of its year.
std::string show_date(int64_t days) {
  int64_t since_year_0 = days + 719'468;                                                // 0000-03-01
  int64_t era = (since_year_0 >= 0 ? since_year_0 : since_year_0 - 146'096) / 146'097;  // of 400 years
  int64_t day_of_era = since_year_0 - era * 146'097;
  int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t month_from_march = (5 * day_of_year + 2) / 153;
  int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  return format("%04d-%02d-%02d", static_cast<int>(year), static_cast<int>(month), static_cast<int>(day));
}

std::string show_time(int64_t us) {
  auto part = [us](int64_t unit, int64_t of) { return static_cast<int>(us / unit % of); };
  std::string out = format("%02d:%02d:%02d", part(3'600'000'000, 24), part(60'000'000, 60), part(1'000'000, 60));
  return us % 1'000'000 ? out + format(".%06d", part(1, 1'000'000)) : out;
}

std::string show_datetime(const Datetime& v) {
  int64_t local = v.us + v.offset_us.value_or(0);
  int64_t days = local / kDayUs - (local % kDayUs < 0);
  std::string out = show_date(days) + " " + show_time(local - days * kDayUs);
  if (!v.offset_us) return out;
  return out + (*v.offset_us < 0 ? "-" : "+") + show_time(std::abs(*v.offset_us)).substr(0, 5);
}

std::string show_uuid(const Uuid& v) {
  std::string out;
  for (size_t i = 0; i < v.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += format("%02x", static_cast<unsigned>(static_cast<uint8_t>(v.bytes[i])));
  }
  return out;
}

/// A Decimal as Python's repr has it, without an exponent where there are no zeros to be seen that are not there.
std::string show_decimal(const Decimal& v) {
  std::string digits = v.digits;
  if (v.exponent > 0 || v.exponent < -static_cast<int64_t>(limits::kShownBytesMax))
    return (v.is_negative ? "-" : "") + digits + "E" + (v.exponent > 0 ? "+" : "") + std::to_string(v.exponent);
  auto places = static_cast<size_t>(-v.exponent);
  if (places > 0) {
    if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
    digits.insert(digits.size() - places, ".");
  }
  return (v.is_negative ? "-" : "") + digits;
}

std::string show_composite(const Composite& v) {
  auto joined = [&v](const char* open, const char* close) {
    std::string out = open;
    for (size_t i = 0; i < v.values.size(); ++i) {
      bool is_value_of_dict = v.kind == kind::kDict && i % 2 == 1;
      if (i > 0) out += is_value_of_dict ? ": " : ", ";
      out += show(v.values[i]);
    }
    return out + close;
  };
  switch (v.kind) {
    case kind::kTuple: return joined("(", v.values.size() == 1 ? ",)" : ")");
    case kind::kDict:
    case kind::kSet: return joined("{", "}");
    case kind::kRecord: return "<record " + std::to_string(v.tag) + joined(": ", ">");
    case kind::kAlternative:
      return "<alternative " + std::to_string(v.tag) + "." + std::to_string(v.arm) + joined(": ", ">");
    case kind::kCodec: return joined(("<" + v.text + ": ").c_str(), ">");
    default: return "<pickle of " + std::to_string(v.text.size()) + " bytes>";
  }
}

}  // namespace

bool operator==(const Composite& a, const Composite& b) {
  return a.kind == b.kind && a.tag == b.tag && a.arm == b.arm && a.text == b.text && a.marks == b.marks &&
         a.values == b.values;
}

std::partial_ordering operator<=>(const Composite& a, const Composite& b) {
  auto head = [](const Composite& v) { return std::tie(v.kind, v.tag, v.arm, v.text, v.marks); };
  if (auto order = head(a) <=> head(b); order != 0) return order;
  return a.values <=> b.values;
}

Bytes encode(const Value& value, Mode mode) {
  Bytes out;
  std::visit(Encoder(out, mode), value);
  return out;
}

Result<Value> decode(BytesView bytes, Mode mode) {
  Reader in(bytes);
  Value value = Decoder(in, mode).value(limits::kValueDepthMax);
  if (!in.is_ok()) return protocol_error("not a canonical value");
  if (!in.at_end()) return protocol_error("bytes behind a value");
  return value;
}

std::string show(const Value& value) {
  struct {
    std::string operator()(std::monostate) { return "None"; }
    std::string operator()(bool v) { return v ? "True" : "False"; }
    std::string operator()(int64_t v) { return std::to_string(v); }
    std::string operator()(double v) { return show_float(v); }
    std::string operator()(const Text& v) { return "'" + v.utf8 + "'"; }
    std::string operator()(const Blob& v) { return "<" + std::to_string(v.bytes.size()) + " bytes>"; }
    std::string operator()(const Reference& v) {
      return "<reference " + std::to_string(v.type.value) + ":" + std::to_string(v.object.value) + ">";
    }
    std::string operator()(const LargeInt& v) { return std::to_string(v.value); }
    std::string operator()(const Datetime& v) { return show_datetime(v); }
    std::string operator()(const Date& v) { return show_date(v.days); }
    std::string operator()(const TimeOfDay& v) { return show_time(v.us); }
    std::string operator()(const Timedelta& v) { return std::to_string(v.us) + " us"; }
    std::string operator()(const Decimal& v) { return show_decimal(v); }
    std::string operator()(const Uuid& v) { return show_uuid(v); }
    std::string operator()(const Composite& v) { return show_composite(v); }
  } shown;
  return std::visit(shown, value);
}

}  // namespace odb
