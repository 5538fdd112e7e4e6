// SPDX-License-Identifier: BSD-3-Clause
//
// maxmemory-clients: when normal clients and subscribers together take more memory than that, the
// largest are closed first (of those in the same power of two the one met first), as Redis does.
// CLIENT NO-EVICT keeps a client, replicas are never closed; both hold more than others.
//
// Each client adds the change of its memory to one sum, once a read and whenever output is added;
// nothing is counted while there is no limit.
//
// Thread rule: Note and Forget by the client's worker.
#pragma once

#include <cstdint>

namespace cairn {

struct ClientRecord;
class Server;

class ClientMemory {
 public:
  explicit ClientMemory(Server* server) : server_(*server) {}

  // Bytes that clients may take; 0: no limit.
  int64_t Limit() const;
  // `counted` is what the sum holds of this client, the caller's to keep. Closes clients if the
  // limit is passed.
  void Note(const ClientRecord& record, int64_t* counted);
  // The client is gone.
  void Forget(int64_t* counted);

 private:
  void Evict(int64_t limit);

  Server& server_;
};

}  // namespace cairn
