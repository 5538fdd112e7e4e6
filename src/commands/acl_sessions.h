// SPDX-License-Identifier: BSD-3-Clause
//
// What becomes of connections when users change: those of users that are gone are closed, and those
// that are subscribed to what their user may no longer hear.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace cairn {

struct Session;
class Unit;

// Under All, `caller` being the session that asked: it is closed after its reply.

// Closes the connections of these users, once the unit has ended.
void CloseSessionsOf(Unit& unit, Session& caller, std::span<const std::string> users);
// Closes those of this user's connections that are subscribed to a channel, pattern or shard channel
// that the user may not use now. Those who were allowed less than they have are not asked again.
void CloseSubscribersOf(Unit& unit, Session& caller, const std::string& user);

}  // namespace cairn
