// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/wait_table.h"

namespace cairn {
namespace {

std::shared_ptr<WaitTicket> Ticket(uint64_t order, bool wakes_on_absence = false) {
  return std::make_shared<WaitTicket>(order, Type::kList, wakes_on_absence);
}

}  // namespace

TEST_CASE("A ticket is claimed once", "[wait_table]") {
  auto ticket = Ticket(1);
  REQUIRE(!ticket->over());
  REQUIRE(ticket->Claim());
  REQUIRE(ticket->over());
  REQUIRE(!ticket->Claim());
}

TEST_CASE("Queues are by database and key, in the order of the tickets", "[wait_table]") {
  WaitCounters counters;
  WaitTable table(&counters);
  auto first = Ticket(1), second = Ticket(2);
  table.Add(0, "k", second);
  table.Add(0, "k", first);
  table.Add(0, "k", first);
  table.Add(1, "k", second);
  REQUIRE(counters.keys == 2);
  REQUIRE(table.Find(0, "x") == nullptr);
  WaitQueue* queue = table.Find(0, "k");
  REQUIRE(queue->tickets.size() == 2);
  REQUIRE(queue->tickets.begin()->second == first);
  REQUIRE(table.KeysOf(1) == std::vector<std::string>{"k"});
  REQUIRE(table.KeysOf(2).empty());
  table.Remove(0, "k", *first);
  table.Remove(0, "k", *first);
  table.Remove(0, "none", *first);
  REQUIRE(table.Find(0, "k")->tickets.size() == 1);
  table.Remove(0, "k", *second);
  table.Remove(1, "k", *second);
  REQUIRE(table.empty());
  REQUIRE(counters.keys == 0);
}

TEST_CASE("Keys that somebody watches for absence are counted", "[wait_table]") {
  WaitCounters counters;
  {
    WaitTable table(&counters);
    auto one = Ticket(1, true), two = Ticket(2, true), three = Ticket(3);
    table.Add(0, "k", one);
    table.Add(0, "k", two);
    table.Add(0, "k", three);
    REQUIRE(counters.keys_on_absence == 1);
    table.Remove(0, "k", *one);
    REQUIRE(counters.keys_on_absence == 1);
    table.Remove(0, "k", *two);
    REQUIRE(counters.keys_on_absence == 0);
    table.Add(0, "l", one);
    REQUIRE((counters.keys == 2 && counters.keys_on_absence == 1));
  }
  REQUIRE((counters.keys == 0 && counters.keys_on_absence == 0));
}

}  // namespace cairn
