// SPDX-License-Identifier: BSD-3-Clause
#include "base/encryption.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hex.h"
#include "base/random.h"

namespace cairn {
namespace {

constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
using Nonce = std::array<unsigned char, kNonceBytes>;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
int Length(std::string_view text) {
  return static_cast<int>(text.size());
}

// A failure of these calls is not the input's doing: only the tag's check may fail.
void SealWith(EVP_CIPHER_CTX* context, const DataKey& key, const Nonce& nonce,
              std::string_view authenticated, std::string_view plain, char* out) {
  int n = 0;
  auto* to = reinterpret_cast<unsigned char*>(out);
  CHECK(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1);
  CHECK(EVP_EncryptUpdate(context, nullptr, &n, Bytes(authenticated), Length(authenticated)) == 1);
  CHECK(EVP_EncryptUpdate(context, to, &n, Bytes(plain), Length(plain)) == 1);
  CHECK(EVP_EncryptFinal_ex(context, to + n, &n) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kTagBytes, to + plain.size()) == 1);
}

bool OpenWith(EVP_CIPHER_CTX* context, const DataKey& key, const Nonce& nonce,
              std::string_view authenticated, std::string_view sealed, unsigned char* out) {
  if (sealed.size() < kTagBytes) return false;
  const std::string_view cipher = sealed.substr(0, sealed.size() - kTagBytes);
  unsigned char tag[kTagBytes];
  memcpy(tag, sealed.data() + cipher.size(), kTagBytes);
  int n = 0;
  CHECK(EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1);
  CHECK(EVP_DecryptUpdate(context, nullptr, &n, Bytes(authenticated), Length(authenticated)) == 1);
  CHECK(EVP_DecryptUpdate(context, out, &n, Bytes(cipher), Length(cipher)) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag) == 1);
  return EVP_DecryptFinal_ex(context, out + n, &n) == 1;
}

Nonce CounterNonce(uint64_t counter) {
  Nonce nonce{};
  StoreLe<uint64_t>(reinterpret_cast<char*>(nonce.data()) + 4, counter);
  return nonce;
}

bool ParseKey(std::string_view hex, DataKey* key) {
  if (hex.size() != 2 * key->size()) return false;
  for (size_t i = 0; i < key->size(); ++i) {
    const int high = HexDigit(hex[2 * i]), low = HexDigit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    (*key)[i] = static_cast<unsigned char>(high << 4 | low);
  }
  return true;
}

bool IsKeyId(std::string_view id) {
  return !id.empty() && id.size() <= kKeyIdBytesMax &&
         id.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
             std::string_view::npos;
}

}  // namespace

BlockCipher::BlockCipher(const DataKey& key) : context_(EVP_CIPHER_CTX_new()), key_(key) {
  CHECK(context_ != nullptr);
}

BlockCipher::~BlockCipher() {
  EVP_CIPHER_CTX_free(context_);
  OPENSSL_cleanse(key_.data(), key_.size());
}

void BlockCipher::Seal(uint64_t counter, std::string_view authenticated, std::string_view plain,
                       char* out) {
  SealWith(context_, key_, CounterNonce(counter), authenticated, plain, out);
}

bool BlockCipher::Open(uint64_t counter, std::string_view authenticated, std::string_view sealed,
                       std::string* plain) {
  plain->resize(sealed.size());
  if (!OpenWith(context_, key_, CounterNonce(counter), authenticated, sealed,
                reinterpret_cast<unsigned char*>(plain->data())))
    return false;
  plain->resize(sealed.size() - kSealBytes);
  return true;
}

Result<KeyRing> KeyRing::Load(FileSystem* fs, const std::string& path) {
  auto text = fs->ReadFile(path);
  if (!text.ok()) return text.status();
  auto ring = Parse(*text);
  OPENSSL_cleanse(text->data(), text->size());
  if (!ring.ok()) return Status::Invalid(path + ": " + ring.status().message());
  return ring;
}

Result<KeyRing> KeyRing::Parse(std::string_view text) {
  KeyRing ring;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.find(' ');
    MasterKey key;
    key.id = line.substr(0, space);
    const auto bad = [number](const char* what) {
      return Status::Invalid("line " + std::to_string(number) + ": " + what);
    };
    if (!IsKeyId(key.id)) return bad("a key id is 1 to 16 letters, digits, '.', '_' or '-'");
    if (space == std::string_view::npos || !ParseKey(line.substr(space + 1), &key.key))
      return bad("behind the key id and one space stand 64 hexadecimal digits");
    for (const MasterKey& other : ring.keys_)
      if (other.id == key.id) return bad("this key id was listed before");
    ring.keys_.push_back(key);
  }
  if (ring.keys_.empty()) return Status::Invalid("there is no key in it");
  return ring;
}

std::unique_ptr<BlockCipher> KeyRing::NewFile(FileKey* header) const {
  const MasterKey& master = keys_.front();
  DataKey data_key;
  Nonce nonce;
  RandomBytes(data_key.data(), data_key.size());
  RandomBytes(nonce.data(), nonce.size());
  header->key_id = master.id;
  header->wrapped.assign(reinterpret_cast<const char*>(nonce.data()), nonce.size());
  header->wrapped.resize(kWrappedKeyBytes);
  BlockCipher wrapper(master.key);
  SealWith(wrapper.context_, master.key, nonce, master.id,
           {reinterpret_cast<const char*>(data_key.data()), data_key.size()},
           header->wrapped.data() + kNonceBytes);
  auto cipher = std::make_unique<BlockCipher>(data_key);
  OPENSSL_cleanse(data_key.data(), data_key.size());
  return cipher;
}

Result<std::unique_ptr<BlockCipher>> KeyRing::OpenFile(const FileKey& header) const {
  for (const MasterKey& master : keys_) {
    if (master.id != header.key_id) continue;
    if (header.wrapped.size() != kWrappedKeyBytes) break;
    DataKey data_key;
    Nonce nonce;
    memcpy(nonce.data(), header.wrapped.data(), nonce.size());
    BlockCipher wrapper(master.key);
    if (!OpenWith(wrapper.context_, master.key, nonce, master.id,
                  std::string_view(header.wrapped).substr(kNonceBytes), data_key.data()))
      return Status::Invalid(
          "key '" + header.key_id +
          "' of encryption-key-file is not the key this file was encrypted with");
    auto cipher = std::make_unique<BlockCipher>(data_key);
    OPENSSL_cleanse(data_key.data(), data_key.size());
    return cipher;
  }
  return Status::Invalid("it is encrypted with key '" + header.key_id +
                         "', which encryption-key-file does not list");
}

}  // namespace cairn
