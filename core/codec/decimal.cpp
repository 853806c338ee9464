/// Decimals, so that their bytes sort as the numbers do. The number is 0.d1d2d3.. * 10^adjusted with d1 and the last digit not 0;
/// the zeros that the coefficient had behind its digits, which equality does not ask for, stand last and in V alone.
#include <algorithm>

#include "core/codec/codec.h"

namespace odb {
namespace {

constexpr uint8_t kNegative = 0x01;
constexpr uint8_t kZero = 0x02;
constexpr uint8_t kPositive = 0x03;

/// Of the first digit, so that a key, which has fewer digits, is within the limit when its value is.
bool is_exponent(int64_t exponent) {
  return exponent <= limits::kDecimalExponentMax && exponent >= -limits::kDecimalExponentMax;
}

}  // namespace

bool put_decimal(Bytes& out, bool is_negative, BytesView digits, int64_t exponent) {
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  auto size = static_cast<int64_t>(digits.size());
  bool is_near = is_exponent(exponent) || (exponent < 0 && exponent >= -limits::kDecimalExponentMax - size);
  if (digits.size() > limits::kDecimalDigitsMax || !is_near || !is_exponent(size + exponent)) return false;
  out.push_back(static_cast<char>(kind::kDecimal));
  if (digits.empty()) {
    out.push_back(static_cast<char>(kZero));
    out.push_back(is_negative ? '\1' : '\0');
    put_int(out, exponent);
    return true;
  }
  int64_t adjusted = size + exponent;
  size_t kept = digits.find_last_not_of('0') + 1;
  char flip = is_negative ? '\xff' : '\0';
  out.push_back(static_cast<char>(is_negative ? kNegative : kPositive));
  put_int(out, is_negative ? ~adjusted : adjusted);
  for (size_t i = 0; i < kept; i += 2) {
    int pair = 10 * (digits[i] - '0') + (i + 1 < kept ? digits[i + 1] - '0' : 0);
    out.push_back(static_cast<char>((pair + 1) ^ flip));
  }
  out.push_back(flip);
  put_varint(out, digits.size() - kept);
  return true;
}

void Reader::decimal_after_kind(DecimalParts* parts, Mode mode) {
  DecimalParts local;
  DecimalParts& read = parts ? *parts : local;
  read.size = 0;
  uint8_t sign = byte();
  if (sign == kZero) {
    uint8_t is_negative = mode == Mode::kValue ? byte() : 0;
    read.exponent = mode == Mode::kValue ? integer() : 0;
    read.is_negative = is_negative == 1;
    read.ascii[read.size++] = '0';
    if (is_negative > 1 || !is_exponent(read.exponent)) fail();
    return;
  }
  if (sign != kNegative && sign != kPositive) return fail();
  read.is_negative = sign == kNegative;
  auto flip = static_cast<uint8_t>(read.is_negative ? 0xff : 0);
  int64_t adjusted = integer();
  if (read.is_negative) adjusted = ~adjusted;
  if (!is_exponent(adjusted)) return fail();
  for (uint8_t b; is_ok_ && (b = byte() ^ flip) != 0;) {
    if (b > 100 || read.size >= limits::kDecimalDigitsMax) return fail();
    read.ascii[read.size++] = static_cast<char>('0' + (b - 1) / 10);
    read.ascii[read.size++] = static_cast<char>('0' + (b - 1) % 10);
  }
  if (!is_ok_) return;
  bool is_normal =
      read.size > 0 && read.ascii[0] != '0' && BytesView(read.ascii, read.size).substr(read.size - 2) != "00";
  if (!is_normal) return fail();
  if (read.ascii[read.size - 1] == '0') --read.size;
  uint64_t zeros = mode == Mode::kValue ? varint() : 0;
  if (read.size + zeros > limits::kDecimalDigitsMax || zeros > limits::kDecimalDigitsMax) return fail();
  for (uint64_t i = 0; i < zeros; ++i) read.ascii[read.size++] = '0';
  read.exponent = adjusted - static_cast<int64_t>(read.size);
}

}  // namespace odb
