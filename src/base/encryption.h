// SPDX-License-Identifier: BSD-3-Clause
//
// Encryption at rest: AES-256-GCM by OpenSSL. Every file has a random data key of its own; a master
// key from the key file wraps it, and the file's header keeps {key id, wrapped data key}. So a
// master key can be replaced without touching old files, and a wrong one is found at once.
//
//   key file   = ( id SP 64-hexadecimal-digits LF | "#" comment LF | LF )*
//                the first key wraps the data keys of new files, the others open old ones
//   wrapped    = 12-byte random nonce, 32 bytes of ciphertext, 16-byte tag; authenticated: the id
//   sealed     = ciphertext, 16-byte tag; nonce: 4 zeros, u64 counter (little-endian), which must
//                never repeat in one file; authenticated: what the caller names
//
// Thread rule: a KeyRing is read-only after Load; a BlockCipher belongs to one thread at a time.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/status.h"

struct evp_cipher_ctx_st;

namespace cairn {

constexpr size_t kKeyIdBytesMax = 16;
constexpr size_t kWrappedKeyBytes = 12 + 32 + 16;
constexpr size_t kSealBytes = 16;  // by how much sealing makes bytes longer

using DataKey = std::array<unsigned char, 32>;

// Seals and opens the blocks of one file.
class BlockCipher {
 public:
  explicit BlockCipher(const DataKey& key);
  ~BlockCipher();
  BlockCipher(const BlockCipher&) = delete;
  BlockCipher& operator=(const BlockCipher&) = delete;

  // Writes plain.size() + kSealBytes bytes to `out`, which may not overlap `plain`.
  void Seal(uint64_t counter, std::string_view authenticated, std::string_view plain, char* out);
  // The plain bytes; false if anything was changed.
  bool Open(uint64_t counter, std::string_view authenticated, std::string_view sealed,
            std::string* plain);

 private:
  friend class KeyRing;
  evp_cipher_ctx_st* const context_;
  DataKey key_;
};

// What a file's header keeps of its encryption.
struct FileKey {
  std::string key_id;
  std::string wrapped;  // kWrappedKeyBytes
};

class KeyRing {
 public:
  // kInvalid with the line's number if the file is not what the grammar says, or names no key.
  static Result<KeyRing> Load(FileSystem* fs, const std::string& path);
  static Result<KeyRing> Parse(std::string_view text);

  // A new data key, wrapped by the first master key.
  std::unique_ptr<BlockCipher> NewFile(FileKey* header) const;
  // kInvalid, worded for the operator, if the id is not listed or is another key.
  Result<std::unique_ptr<BlockCipher>> OpenFile(const FileKey& header) const;
  const std::string& current_id() const { return keys_.front().id; }

 private:
  struct MasterKey {
    std::string id;
    DataKey key;
  };
  std::vector<MasterKey> keys_;
};

}  // namespace cairn
