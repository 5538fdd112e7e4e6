// SPDX-License-Identifier: BSD-3-Clause
//
// The follower's connection: every wait ends at its time, at a nudge if that counts, or for good.
#include "repl/link_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include <catch2/catch.hpp>

namespace cairn {
namespace {

constexpr int64_t kLongMs = 60'000;

// A leader that says what it is told to.
struct PeerSocket {
  PeerSocket() : listener(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(listener, 1) == 0);
    REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port = ntohs(address.sin_port);
  }
  ~PeerSocket() {
    close(listener);
    if (connection >= 0) close(connection);
  }
  void Accept() {
    connection = accept(listener, nullptr, nullptr);
    REQUIRE(connection >= 0);
  }
  void Say(std::string_view bytes) {
    REQUIRE(write(connection, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }

  int listener, connection = -1, port = 0;
};

struct Connected {
  Connected() {
    REQUIRE(link.Connect("127.0.0.1", peer.port, "", kLongMs).ok());
    peer.Accept();
  }
  PeerSocket peer;
  LinkSocket link;
};

}  // namespace

TEST_CASE("Lines end with CR LF or LF, and what follows stays", "[repl]") {
  Connected both;
  both.peer.Say("+PONG\r\n\n+OK\nrest");
  REQUIRE(*both.link.ReadLine(kLongMs) == "+PONG");
  REQUIRE(*both.link.ReadLine(kLongMs) == "");
  REQUIRE(*both.link.ReadLine(kLongMs) == "+OK");
  char rest[16];
  const auto n = both.link.Read(rest, sizeof rest, kLongMs);
  REQUIRE(std::string(rest, *n) == "rest");
}

TEST_CASE("A line without an end is refused", "[repl]") {
  Connected both;
  both.peer.Say(std::string(LinkSocket::kLineBytesMax + 1, 'x'));
  REQUIRE(both.link.ReadLine(kLongMs).status().message() == "the leader's line is too long");
}

TEST_CASE("The time of a wait, and the end of the connection", "[repl]") {
  Connected both;
  char byte;
  REQUIRE(*both.link.Read(&byte, 1, 1) == 0);
  REQUIRE(both.link.ReadLine(1).status().message() == "the leader did not answer in time");
  close(std::exchange(both.peer.connection, -1));
  REQUIRE(both.link.Read(&byte, 1, kLongMs).status().code() == StatusCode::kIo);
}

TEST_CASE("A nudge ends the wait of who looks for it, and only that", "[repl]") {
  Connected both;
  char byte;
  both.link.Nudge();
  both.link.Nudge();
  // Not for this one: it would take a minute if nothing came.
  std::thread speaker([&] { both.peer.Say("x"); });
  REQUIRE(*both.link.Read(&byte, 1, kLongMs) == 1);
  speaker.join();
  REQUIRE(*both.link.Read(&byte, 1, kLongMs, true) == 0);
  // Both nudges are one, and it is over.
  REQUIRE(*both.link.Read(&byte, 1, 1, true) == 0);
  std::thread nudger([&] { both.link.Nudge(); });
  REQUIRE(*both.link.Read(&byte, 1, kLongMs, true) == 0);
  nudger.join();
}

TEST_CASE("An interrupt holds for good, whoever waits and whoever will", "[repl]") {
  Connected both;
  char byte;
  std::thread interrupter([&] { both.link.Interrupt(); });
  REQUIRE(both.link.Read(&byte, 1, kLongMs).status().code() == StatusCode::kUnavailable);
  interrupter.join();
  REQUIRE(both.link.interrupted());
  both.link.Pause(kLongMs);
  both.peer.Say("x");
  REQUIRE(both.link.Read(&byte, 1, kLongMs).status().code() == StatusCode::kUnavailable);
}

TEST_CASE("Nobody there, and no such name", "[repl]") {
  LinkSocket link;
  int port;
  {
    PeerSocket gone;
    port = gone.port;
  }
  REQUIRE(link.Connect("127.0.0.1", port, "", kLongMs).code() == StatusCode::kIo);
  REQUIRE(link.Connect("no such host", 1, "", kLongMs).code() == StatusCode::kIo);
}

}  // namespace cairn
