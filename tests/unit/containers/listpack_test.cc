// SPDX-License-Identifier: BSD-3-Clause
#include "containers/listpack.h"

#include <string>
#include <vector>

#include "base/random.h"

using namespace cairn;

namespace {

std::vector<std::string> Elements(ListpackView view) {
  std::vector<std::string> out;
  char buffer[kInt64CharsMax];
  view.ForEach([&](ListpackValue value) {
    out.emplace_back(value.Text(buffer));
    return true;
  });
  return out;
}

std::string FromHex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return out;
}

std::string RandomElement(Random& random) {
  switch (random.Below(6)) {
    case 0:
      return std::to_string(static_cast<int64_t>(random.Next() >> random.Below(64)));
    case 1:
      return std::to_string(-static_cast<int64_t>(random.Next() >> (1 + random.Below(63))));
    case 2:
      return std::string(random.Below(64), 'a');
    case 3:
      return std::string(60 + random.Below(100), 'b');
    case 4:
      return random.Below(20) == 0 ? std::string(4000 + random.Below(200), 'c') : "mid";
    default:
      return "k" + std::to_string(random.Below(100));
  }
}

// The bytes of `view` walked in both directions give `model`.
void RequireSame(ListpackView view, const std::vector<std::string>& model) {
  REQUIRE(ListpackView::Validate(view.AsBytes()));
  REQUIRE(view.Length() == model.size());
  REQUIRE(Elements(view) == model);
  size_t i = model.size();
  for (auto pos = view.Last(); pos != ListpackView::kNone; pos = view.Prev(pos))
    REQUIRE(view.Get(pos) == model[--i]);
  REQUIRE(i == 0);
}

}  // namespace

TEST_CASE("listpack writes the bytes of a DUMP payload") {
  // From redis-server: HSET h f0 0 f1 127 ... ; DUMP h, without type, length, version and CRC.
  const std::string golden =
      FromHex(
          "970100003600826630030001826631037f0182663203c0800282663303dfff0282663403d00002826635"
          "03cfff0282663603f100100382663703f1ffef0382663803f1ff7f0382663903f10080038366313004f2"
          "008000048366313104f2ffff7f048366313204f2000080048366313304f300008000058366313404f3ff"
          "ffff7f058366313504f300000080058366313604f40000008000000000098366313704f4ffffff7fffff"
          "ffff098366313804f4ffffffffffffff7f098366313904f4000000000000008009836632300493393232"
          "33333732303336383534373735383038148366323104822d300383663232048230310383663233048001"
          "83663234048568656c6c6f068366323504bf") +
      std::string(63, 'x') + FromHex("408366323604e040") + std::string(64, 'y') + FromHex("42ff");
  const std::vector<std::string> values = {"0",
                                           "127",
                                           "128",
                                           "-1",
                                           "-4096",
                                           "4095",
                                           "4096",
                                           "-4097",
                                           "32767",
                                           "-32768",
                                           "32768",
                                           "8388607",
                                           "-8388608",
                                           "8388608",
                                           "2147483647",
                                           "-2147483648",
                                           "2147483648",
                                           "-2147483649",
                                           "9223372036854775807",
                                           "-9223372036854775808",
                                           "9223372036854775808",
                                           "-0",
                                           "01",
                                           "",
                                           "hello",
                                           std::string(63, 'x'),
                                           std::string(64, 'y')};
  Listpack made;
  for (size_t i = 0; i < values.size(); ++i) {
    made.Append("f" + std::to_string(i));
    made.Append(values[i]);
  }
  REQUIRE(std::string(made.AsBytes()) == golden);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto pos = made.Seek(static_cast<int64_t>(2 * i + 1));
    REQUIRE(made.Get(pos) == values[i]);
    REQUIRE(made.Get(pos).TextSize() == values[i].size());
    REQUIRE(made.Find(made.First(), "f" + std::to_string(i), 1) == made.Prev(pos));
  }
}

TEST_CASE("listpack writes long strings and backlens as redis-server does") {
  // Tail of the entry behind a string of that length (DUMP of a hash), up to the end mark.
  const std::pair<size_t, const char*> cases[] = {{4095, "2081ff"},    {4096, "2085ff"},
                                                  {16376, "7ffdff"},   {16377, "7ffeff"},
                                                  {16378, "00ffffff"}, {16379, "018080ff"}};
  for (auto [size, tail] : cases) {
    Listpack made;
    made.Append(std::string(size, 'z'));
    const std::string want = FromHex(tail);
    REQUIRE(std::string(made.AsBytes().substr(made.Bytes() - want.size())) == want);
    REQUIRE(made.Last() == made.First());
    REQUIRE(ListpackView::Validate(made.AsBytes()));
  }
}

TEST_CASE("listpack against a vector of strings") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    Listpack pack;
    std::vector<std::string> model;
    for (int step = 0; step < 400; ++step) {
      const size_t size = model.size();
      const size_t at = size == 0 ? 0 : random.Below(size);
      const auto offset = static_cast<std::ptrdiff_t>(at);
      const std::string element = RandomElement(random);
      const auto pos = pack.Seek(random.Below(2) ? offset : offset - static_cast<ptrdiff_t>(size));
      switch (random.Below(size == 0 ? 2 : 9)) {
        case 0:
        case 2:
          pack.Append(element);
          model.push_back(element);
          break;
        case 1:
          pack.Prepend(element);
          model.insert(model.begin(), element);
          break;
        case 3:
          REQUIRE(pack.Get(pack.InsertBefore(pos, element)) == element);
          model.insert(model.begin() + offset, element);
          break;
        case 4:
          REQUIRE(pack.Get(pack.InsertAfter(pos, element)) == element);
          model.insert(model.begin() + offset + 1, element);
          break;
        case 5:
        case 6:
          REQUIRE(pack.Get(pack.Replace(pos, element)) == element);
          model[at] = element;
          break;
        case 7: {
          const auto behind = pack.Delete(pos);
          model.erase(model.begin() + offset);
          REQUIRE((behind == ListpackView::kNone) == (at == model.size()));
          if (at < model.size()) REQUIRE(pack.Get(behind) == model[at]);
          break;
        }
        default: {
          const size_t count = random.Below(5);
          pack.DeleteRange(offset, count);
          model.erase(model.begin() + offset,
                      model.begin() + static_cast<ptrdiff_t>(std::min(size, at + count)));
        }
      }
      if (step % 10 == 0) RequireSame(pack, model);
      const auto found = pack.Find(pack.First(), element);
      REQUIRE((found != ListpackView::kNone) ==
              (std::find(model.begin(), model.end(), element) != model.end()));
    }
    RequireSame(pack, model);
    const size_t cut = random.Below(model.size() + 1);
    Listpack tail = pack.SplitAt(pack.Seek(static_cast<int64_t>(cut)));
    const auto middle = model.begin() + static_cast<ptrdiff_t>(cut);
    RequireSame(pack, {model.begin(), middle});
    RequireSame(tail, {middle, model.end()});
    pack.AppendAll(tail);
    RequireSame(pack, model);
    RequireSame(Listpack::FromBytes(pack.AsBytes()), model);
  }
}

TEST_CASE("listpack of 65535 and more elements has to be counted") {
  // By the hundred: one by one, each is a new allocation of all the bytes under a sanitizer.
  Listpack pack, hundred;
  for (int i = 0; i < 100; ++i) hundred.Append(int64_t{i});
  for (int i = 0; i < 655; ++i) pack.AppendAll(hundred);
  for (int i = 0; i < 34; ++i) pack.Append(int64_t{i});
  REQUIRE(LoadLe<uint16_t>(pack.data() + 4) == 65534);
  for (int i = 0; i < 10; ++i) pack.Append("x");
  REQUIRE(LoadLe<uint16_t>(pack.data() + 4) == 65535);
  REQUIRE(pack.Length() == 65544);
  REQUIRE(ListpackView::Validate(pack.AsBytes()));
  REQUIRE(pack.Get(pack.Seek(65534)) == "x");
  REQUIRE(pack.Get(pack.Seek(-11)) == "33");
  REQUIRE(pack.Seek(65544) == ListpackView::kNone);
  pack.DeleteRange(0, 1000);
  REQUIRE(pack.Length() == 64544);
}

TEST_CASE("listpack picks several indexes in one walk") {
  Listpack pack;
  for (int i = 0; i < 100; ++i) pack.Append(int64_t{i});
  const uint32_t index[] = {0, 0, 3, 7, 49};
  std::vector<int64_t> seen;
  pack.Pick(index, 2, [&](size_t, ListpackValue value, ListpackView::Pos) {
    seen.push_back(value.integer());
  });
  REQUIRE(seen == std::vector<int64_t>{0, 0, 6, 14, 98});
}

TEST_CASE("listpack bytes that passed Validate are safe to walk") {
  Random random(7);
  Listpack base;
  for (int i = 0; i < 40; ++i) base.Append(RandomElement(random));
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(base.AsBytes());
    const size_t changes = 1 + random.Below(3);
    for (size_t i = 0; i < changes; ++i) {
      const size_t at =
          random.Below(2) ? random.Below(bytes.size()) : random.Below(64) % bytes.size();
      bytes[at] = static_cast<char>(random.Next());
    }
    if (random.Below(4) == 0) bytes.resize(random.Below(bytes.size() + 1));
    if (random.Below(4) == 0 && bytes.size() >= 7) {
      StoreLe(bytes.data(), static_cast<uint32_t>(bytes.size()));
      bytes.back() = static_cast<char>(0xff);
    }
    // An exact heap copy, so that a sanitizer sees each byte read too far.
    std::vector<char> exact(bytes.begin(), bytes.end());
    if (!ListpackView::Validate({exact.data(), exact.size()})) continue;
    ++accepted;
    ListpackView view(exact.data());
    const auto elements = Elements(view);
    REQUIRE(elements.size() == view.Length());
    size_t back = 0;
    for (auto pos = view.Last(); pos != ListpackView::kNone; pos = view.Prev(pos)) ++back;
    REQUIRE(back == elements.size());
    (void)view.Find(view.First(), "nothing");
    Listpack copy(view);
    copy.Append("more");
    REQUIRE(ListpackView::Validate(copy.AsBytes()));
  }
  REQUIRE(accepted > 100);
}
