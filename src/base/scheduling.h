// SPDX-License-Identifier: BSD-3-Clause
//
// What threads ask of the kernel's scheduler. Any thread; about the calling thread only.
//
// Linux' scheduler since 6.6 (EEVDF) lets a thread that computes keep its core until its slice is
// over, 3 ms or the next tick, though another has been woken for that core: a worker, say, by a
// client's request. Since 6.12 a thread may name its slice, and who has a shorter one than the
// thread that runs goes before it, unless that one's slice is nearly over: what is compared is when
// each would end, in time that runs faster the nicer a thread is. Shares stay equal: who has a long
// slice is sent away more often, and comes back for longer.
#pragma once

namespace cairn {

// For threads that work in the background for a while: others that are woken go first. The policy
// stays as it is. `nicer` by so much than now: of a core that others want as well it then gets a
// smaller share. Does nothing where the kernel knows of no slices, or the policy is not the normal.
void LetOthersGoFirst(int nicer = 0);

}  // namespace cairn
