// SPDX-License-Identifier: BSD-3-Clause
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/check.h"
#include "net/connection.h"
#include "net/worker.h"

namespace cairn {
namespace {

constexpr size_t kRecordBytesMax = SSL3_RT_MAX_PLAIN_LENGTH;  // 16 KiB

int GivePassword(char* buffer, int size, int, void* user_data) {
  const auto& password = *static_cast<const std::string*>(user_data);
  if (password.empty() || password.size() > static_cast<size_t>(size)) return -1;
  memcpy(buffer, password.data(), password.size());
  return static_cast<int>(password.size());
}

// A place in a row of buffers.
struct Cursor {
  const struct iovec* vectors;
  int count;      // of buffers left, the one it stands in included
  size_t offset;  // in the first of them

  void Skip(size_t bytes) {
    while (count > 0 && bytes >= vectors->iov_len - offset) {
      bytes -= vectors->iov_len - offset;
      vectors++;
      count--;
      offset = 0;
    }
    offset += bytes;
  }
  // Copies the next bytes, `wanted` at most, and stays where it is.
  size_t Copy(char* target, size_t wanted) const {
    size_t copied = 0;
    size_t from = offset;
    for (int i = 0; i < count && copied < wanted; ++i, from = 0) {
      const size_t n = std::min(vectors[i].iov_len - from, wanted - copied);
      memcpy(target + copied, static_cast<const char*>(vectors[i].iov_base) + from, n);
      copied += n;
    }
    return copied;
  }
};

// Text of an ASN.1 string; empty if it holds a NUL, with which a certificate could pass for
// another name.
std::string TextOf(const ASN1_STRING* value) {
  unsigned char* utf8 = nullptr;
  const int length = ASN1_STRING_to_UTF8(&utf8, value);
  if (length < 0) return "";
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(length));
  OPENSSL_free(utf8);
  return text.find('\0') == std::string::npos ? text : "";
}

}  // namespace

std::string TakeTlsError() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  char text[256];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

// --- TlsContext -------------------------------------------------------------------------------

TlsContext::TlsContext(const TlsSettings& settings, bool client)
    : context_(SSL_CTX_new(client ? TLS_client_method() : TLS_server_method())),
      key_password_(settings.key_password) {
  CHECK(context_ != nullptr);
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

Result<std::shared_ptr<TlsContext>> TlsContext::ForServer(const TlsSettings& settings) {
  if (settings.certificate_file.empty()) return Status::Invalid("No tls-cert-file configured!");
  if (settings.key_file.empty()) return Status::Invalid("No tls-key-file configured!");
  if (settings.peer_certificate != TlsPeerCertificate::kNotAsked &&
      settings.authorities_file.empty() && settings.authorities_dir.empty()) {
    return Status::Invalid(
        "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-auth-clients is "
        "enabled!");
  }
  std::shared_ptr<TlsContext> context(new TlsContext(settings, false));
  ERR_clear_error();
  if (Status status = context->Configure(settings); !status.ok()) return status;
  return context;
}

Result<std::shared_ptr<TlsContext>> TlsContext::ForClient(const TlsSettings& settings) {
  if (settings.certificate_file.empty()) return Status::Invalid("No tls-cert-file configured!");
  if (settings.key_file.empty()) return Status::Invalid("No tls-key-file configured!");
  if (settings.authorities_file.empty() && settings.authorities_dir.empty())
    return Status::Invalid("Either tls-ca-cert-file or tls-ca-cert-dir must be specified");
  std::shared_ptr<TlsContext> context(new TlsContext(settings, true));
  ERR_clear_error();
  if (Status status = context->Configure(settings); !status.ok()) return status;
  return context;
}

Status TlsContext::SetProtocols(const std::string& words) {
  struct Version {
    const char* name;
    uint64_t off;
  };
  static constexpr Version kVersions[] = {{"TLSv1", SSL_OP_NO_TLSv1},
                                          {"TLSv1.1", SSL_OP_NO_TLSv1_1},
                                          {"TLSv1.2", SSL_OP_NO_TLSv1_2},
                                          {"TLSv1.3", SSL_OP_NO_TLSv1_3}};
  uint64_t off = SSL_OP_NO_SSLv3;
  for (const Version& version : kVersions) off |= version.off;
  const std::string text = words.empty() ? "TLSv1.2 TLSv1.3" : words;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    start = end + 1;
    if (word.empty()) continue;
    const auto* found = std::find_if(std::begin(kVersions), std::end(kVersions), [&](auto& v) {
      return strcasecmp(v.name, word.c_str()) == 0;
    });
    if (found == std::end(kVersions))
      return Status::Invalid(
          "Invalid tls-protocols specified. Use a combination of 'TLSv1', "
          "'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.");
    off &= ~found->off;
  }
  SSL_CTX_set_options(context_, off);
  return Status::Ok();
}

Status TlsContext::LoadFiles(const TlsSettings& settings) {
  SSL_CTX_set_default_passwd_cb(context_, &GivePassword);
  SSL_CTX_set_default_passwd_cb_userdata(context_, &key_password_);
  if (SSL_CTX_use_certificate_chain_file(context_, settings.certificate_file.c_str()) <= 0)
    return Status::Invalid("Failed to load certificate: " + settings.certificate_file + ": " +
                           TakeTlsError());
  if (SSL_CTX_use_PrivateKey_file(context_, settings.key_file.c_str(), SSL_FILETYPE_PEM) <= 0)
    return Status::Invalid("Failed to load private key: " + settings.key_file + ": " +
                           TakeTlsError());
  const std::string& file = settings.authorities_file;
  const std::string& dir = settings.authorities_dir;
  if (!file.empty() || !dir.empty()) {
    if (SSL_CTX_load_verify_locations(context_, file.empty() ? nullptr : file.c_str(),
                                      dir.empty() ? nullptr : dir.c_str()) <= 0)
      return Status::Invalid("Failed to configure CA certificate(s) file/directory: " +
                             TakeTlsError());
    // Which authorities' certificates a client may show; a folder is too large to be sent.
    if (!file.empty()) SSL_CTX_set_client_CA_list(context_, SSL_load_client_CA_file(file.c_str()));
  }
  if (settings.dh_parameters_file.empty()) {
    SSL_CTX_set_dh_auto(context_, 1);
    return Status::Ok();
  }
  BIO* bio = BIO_new_file(settings.dh_parameters_file.c_str(), "r");
  EVP_PKEY* parameters = bio == nullptr ? nullptr : PEM_read_bio_Parameters(bio, nullptr);
  BIO_free(bio);
  if (parameters == nullptr || SSL_CTX_set0_tmp_dh_pkey(context_, parameters) <= 0) {
    EVP_PKEY_free(parameters);
    return Status::Invalid("Failed to read DH params file: " + settings.dh_parameters_file + ": " +
                           TakeTlsError());
  }
  return Status::Ok();
}

Status TlsContext::Configure(const TlsSettings& settings) {
  // A peer that hangs up without a word of goodbye has sent its last byte, no more and no less.
  SSL_CTX_set_options(context_, SSL_OP_NO_RENEGOTIATION | SSL_OP_SINGLE_DH_USE |
                                    SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
  // A record's head and body in one system call.
  SSL_CTX_set_read_ahead(context_, 1);
  if (settings.prefer_server_ciphers)
    SSL_CTX_set_options(context_, SSL_OP_CIPHER_SERVER_PREFERENCE);
  CAIRN_RETURN_IF_ERROR(SetProtocols(settings.protocols));
  if (!settings.ciphers.empty() && SSL_CTX_set_cipher_list(context_, settings.ciphers.c_str()) <= 0)
    return Status::Invalid("Failed to configure ciphers: " + settings.ciphers);
  if (!settings.ciphersuites.empty() &&
      SSL_CTX_set_ciphersuites(context_, settings.ciphersuites.c_str()) <= 0)
    return Status::Invalid("Failed to configure ciphersuites: " + settings.ciphersuites);
  CAIRN_RETURN_IF_ERROR(LoadFiles(settings));
  int verify = SSL_VERIFY_NONE;
  if (settings.peer_certificate != TlsPeerCertificate::kNotAsked) verify = SSL_VERIFY_PEER;
  if (settings.peer_certificate == TlsPeerCertificate::kRequired)
    verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context_, verify, nullptr);
  if (settings.cache_sessions) {
    static constexpr unsigned char kSessions[] = "cairn";
    SSL_CTX_set_session_id_context(context_, kSessions, sizeof kSessions - 1);
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(context_, static_cast<long>(settings.sessions_max));
    SSL_CTX_set_timeout(context_, static_cast<long>(settings.session_seconds));
  } else {
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context_, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context_, 0);
  }
  return Status::Ok();
}

// --- TlsTransport -----------------------------------------------------------------------------

TlsTransport::TlsTransport(std::shared_ptr<TlsContext> context, Connection* connection,
                           OnHandshake on_handshake)
    : context_(std::move(context)),
      ssl_(SSL_new(context_->get())),
      on_handshake_(std::move(on_handshake)) {
  CHECK(ssl_ != nullptr && SSL_set_fd(ssl_, connection->fd()) == 1);
  SSL_set_accept_state(ssl_);
  deadline_.set_callback([this, connection] {
    EndHandshake("handshake timed out");
    connection->Close();  // takes this object with it
  });
  connection->worker().ScheduleAfter(&deadline_, kHandshakeMs);
}

TlsTransport::~TlsTransport() {
  ERR_clear_error();
  if (established_ && !broken_ && unsent_bytes_ == 0) SSL_shutdown(ssl_);
  if (!established_) EndHandshake("connection closed");
  ERR_clear_error();
  SSL_free(ssl_);
}

void TlsTransport::EndHandshake(const std::string& error) {
  deadline_.Cancel();
  if (OnHandshake report = std::exchange(on_handshake_, nullptr)) report(*this, error);
}

// What a call that did not succeed means, in the words of Transport.
ssize_t TlsTransport::Fail(int result) {
  const int saved = errno;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
      wants_writable_ = true;
      return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
      if (established_) return 0;
      break;
    case SSL_ERROR_SYSCALL: {
      broken_ = true;
      const int error = saved == 0 ? ECONNRESET : saved;
      if (!established_) EndHandshake(strerror(error));
      return -static_cast<ssize_t>(error);
    }
    default:
      break;
  }
  broken_ = true;
  if (!established_) EndHandshake(TakeTlsError());
  return -EPROTO;
}

ssize_t TlsTransport::Read(char* buffer, size_t length) {
  ERR_clear_error();
  wants_writable_ = buffered_ = false;
  errno = 0;
  const int n = SSL_read(ssl_, buffer, static_cast<int>(std::min<size_t>(length, INT_MAX)));
  if (!established_ && SSL_is_init_finished(ssl_)) {
    established_ = true;
    EndHandshake("");
  }
  if (n <= 0) return Fail(n);
  buffered_ = SSL_has_pending(ssl_) != 0;
  return n;
}

// Nothing is written before the handshake is over: what would drive it are reads, and a socket
// that is always writable would make the loop spin.
ssize_t TlsTransport::Write(const struct iovec* vectors, int count) {
  if (!established_) return -ENOTCONN;
  char buffer[kRecordBytesMax];
  ssize_t sent = 0;
  Cursor cursor{vectors, count, 0};
  while (cursor.count > 0) {
    const char* data = static_cast<const char*>(cursor.vectors->iov_base) + cursor.offset;
    size_t length = std::min(cursor.vectors->iov_len - cursor.offset, kRecordBytesMax);
    // Small pieces share a record, as each record has its price; what fills one is not copied.
    // A record that the socket did not take is offered again with the very same bytes: they are
    // the first of the output still, if perhaps cut into other pieces.
    const size_t wanted = unsent_bytes_ != 0 ? unsent_bytes_ : kRecordBytesMax;
    if (length < wanted && cursor.count > 1) {
      length = cursor.Copy(buffer, wanted);
      data = buffer;
    }
    const ssize_t n = WriteRecord(data, std::min(length, wanted));
    if (n < 0) return sent > 0 && n == -EAGAIN ? sent : n;
    cursor.Skip(static_cast<size_t>(n));
    sent += n;
  }
  return sent;
}

ssize_t TlsTransport::WriteRecord(const char* data, size_t length) {
  ERR_clear_error();
  errno = 0;
  const int n = SSL_write(ssl_, data, static_cast<int>(length));
  if (n > 0) {
    unsent_bytes_ = 0;
    return n;
  }
  const ssize_t error = Fail(n);
  wants_writable_ = false;  // the connection itself waits to send the rest
  if (error == -EAGAIN) unsent_bytes_ = length;
  return error == 0 ? -ECONNRESET : error;
}

TlsPeerNames TlsTransport::PeerNames() const {
  TlsPeerNames names;
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr || SSL_get_verify_result(ssl_) != X509_V_OK) return names;
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0)
    names.common_name = TextOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  auto* others = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(others); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(others, i);
    if (name->type != GEN_URI) continue;
    if (std::string uri = TextOf(name->d.uniformResourceIdentifier); !uri.empty())
      names.uris.push_back(std::move(uri));
  }
  GENERAL_NAMES_free(others);
  return names;
}

}  // namespace cairn
