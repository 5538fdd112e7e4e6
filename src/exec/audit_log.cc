// SPDX-License-Identifier: BSD-3-Clause
#include "exec/audit_log.h"

#include <stdio.h>
#include <time.h>

#include <algorithm>
#include <chrono>

#include "base/glob.h"
#include "base/numbers.h"
#include "base/thread.h"

namespace cairn {
namespace {

constexpr size_t kFlushBytes = 64 << 10;
// Events come from under shard locks, where nobody is woken: the writer looks by itself.
constexpr std::chrono::milliseconds kGatherTime{10};
constexpr std::chrono::milliseconds kRetryTime{100};  // after a write that failed
constexpr uint64_t kTailBytes = 1 << 20;  // no line is longer: see kKeysMax and kKeyBytesMax

std::vector<std::string_view> Split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

void AppendMember(std::string* out, const char* name, std::string_view text) {
  out->append(",\"").append(name).append("\":\"");
  AppendJsonText(out, text);
  out->push_back('"');
}

void AppendMember(std::string* out, const char* name, int64_t number) {
  out->append(",\"").append(name).append("\":").append(std::to_string(number));
}

void AppendList(std::string* out, const char* name, const std::vector<std::string_view>& texts) {
  out->append(",\"").append(name).append("\":[");
  for (size_t i = 0; i < std::min(texts.size(), AuditLog::kKeysMax); ++i) {
    out->append(i == 0 ? "\"" : ",\"");
    AppendJsonText(out, texts[i].substr(0, AuditLog::kKeyBytesMax));
    out->push_back('"');
  }
  out->push_back(']');
}

}  // namespace

Result<AuditRules> AuditRules::Parse(std::string_view text, const Registry& registry) {
  AuditRules rules;
  for (std::string_view part : Split(text, ";")) {
    Rule rule;
    const auto words = Split(part, " \t\n");
    if (words.empty()) continue;
    for (std::string_view word : words) {
      if (word.starts_with("user:")) {
        rule.users.emplace_back(word.substr(5));
      } else if (word.starts_with("~")) {
        rule.keys.emplace_back(word.substr(1));
      } else if (word.starts_with("@")) {
        const auto* found = std::find(std::begin(kAclCategoryNames), std::end(kAclCategoryNames),
                                      ToLower(word.substr(1)));
        const bool all = EqualsIgnoreCase(word, "@all");
        if (!all && found == std::end(kAclCategoryNames))
          return Status::Invalid("no such category in audit-log-rules: " + std::string(word));
        rule.categories |= all ? ~uint64_t{0} : uint64_t{1} << (found - kAclCategoryNames);
      } else {
        const Command* command = registry.Find(word);
        if (command == nullptr)
          return Status::Invalid("no such command in audit-log-rules: " + std::string(word));
        rule.commands.push_back(command);
      }
    }
    rules.rules_.push_back(std::move(rule));
  }
  return rules;
}

bool AuditRules::MatchRule(const Rule& rule, std::string_view user, const Command& command,
                           const std::vector<std::string_view>& keys) {
  const auto fits = [](const std::vector<std::string>& globs, std::string_view text) {
    return std::any_of(globs.begin(), globs.end(),
                       [&](const std::string& glob) { return GlobMatch(glob, text); });
  };
  if (!rule.users.empty() && !fits(rule.users, user)) return false;
  if (rule.categories != 0 || !rule.commands.empty()) {
    const auto& named = rule.commands;
    const bool by_name = std::find(named.begin(), named.end(), &command) != named.end() ||
                         (command.parent != nullptr &&
                          std::find(named.begin(), named.end(), command.parent) != named.end());
    if (!by_name && (rule.categories & command.spec.acl) == 0) return false;
  }
  return rule.keys.empty() || std::any_of(keys.begin(), keys.end(), [&](std::string_view key) {
           return fits(rule.keys, key);
         });
}

bool AuditRules::Match(std::string_view user, const Command& command,
                       const std::vector<std::string_view>& keys) const {
  return rules_.empty() || std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
           return MatchRule(rule, user, command, keys);
         });
}

AuditLog::~AuditLog() {
  Stop();
}

void AuditLog::Stop() {
  on_.store(false, std::memory_order_relaxed);
  if (!writer_.joinable()) return;
  {
    Lock lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  writer_.join();
  stop_ = false;
  (void)target_.file->Sync();
  target_.file.reset();
}

Status AuditLog::Configure(const std::string& path) {
  if (on() && path == target_.path) return Status::Ok();
  Target target;
  if (!path.empty()) {
    CAIRN_RETURN_IF_ERROR(Open(path, &target));
    CAIRN_RETURN_IF_ERROR(RecoverChain(&target));
  }
  Stop();
  if (path.empty()) return Status::Ok();
  target_ = std::move(target);
  failing_ = false;
  writer_ = std::thread([this] { Main(); });
  on_.store(true, std::memory_order_relaxed);
  return Status::Ok();
}

Status AuditLog::Open(const std::string& path, Target* target) {
  auto file = files_.Open(path, FileSystem::Mode::kReadWrite);
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  target->file = std::move(*file);
  target->size = *size;
  target->path = path;
  target->first = true;
  return Status::Ok();
}

// The last whole line says where the chain stands.
Status AuditLog::RecoverChain(Target* target) {
  const uint64_t size = target->size;
  if (size == 0) return Status::Ok();
  const Status no_log = Status::Invalid(target->path + " is not an audit log");
  const uint64_t from = size > kTailBytes ? size - kTailBytes : 0;
  std::string tail(static_cast<size_t>(size - from), '\0');
  auto read = target->file->ReadAt(from, tail.data(), tail.size());
  if (!read.ok()) return read.status();
  tail.resize(*read);
  const size_t end = tail.rfind('\n');
  if (end == std::string::npos) return no_log;
  const size_t begin = end == 0 ? 0 : tail.rfind('\n', end - 1) + 1;
  // Read alone, a line shows only its own number and hash: whether they are right is for the
  // verifier, which has what stands before.
  const std::string_view line = std::string_view(tail).substr(begin, end - begin);
  const size_t hash_at = line.rfind(",\"hash\":\"");
  int64_t sequence = 0;
  if (!line.starts_with("{\"seq\":") || hash_at == std::string_view::npos ||
      !ParseInt64(line.substr(7, line.find(',') - 7), &sequence) ||
      line.size() < hash_at + 9 + kAuditHashDigits)
    return no_log;
  if (end + 1 < tail.size()) {
    target->size = from + end + 1;
    CAIRN_RETURN_IF_ERROR(target->file->Truncate(target->size));
  }
  target->chain = AuditChain(static_cast<uint64_t>(sequence),
                             std::string(line.substr(hash_at + 9, kAuditHashDigits)));
  return Status::Ok();
}

void AuditLog::SetRotation(uint64_t bytes_max, int keep) {
  bytes_max_.store(bytes_max, std::memory_order_relaxed);
  keep_.store(keep, std::memory_order_relaxed);
}

void AuditLog::SetRules(AuditRules rules) {
  auto fresh = std::make_shared<const AuditRules>(std::move(rules));
  Lock lock(mutex_);
  rules_ = std::move(fresh);
}

void AuditLog::Reopen() {
  if (!on()) return;
  {
    Lock lock(mutex_);
    reopen_ = true;
  }
  wake_.notify_one();
}

void AuditLog::Add(const AuditEvent& event) {
  std::shared_ptr<const AuditRules> rules;
  {
    Lock lock(mutex_);
    rules = rules_;
  }
  if (!rules->Match(event.user, *event.command, event.keys)) return;
  std::string body = Begin("command", event);
  AppendMember(&body, "db", int64_t{event.db});
  AppendMember(&body, "cmd", event.command->full_name);
  AppendList(&body, "keys", event.keys);
  if (event.keys.size() > kKeysMax)
    AppendMember(&body, "keys_total", static_cast<int64_t>(event.keys.size()));
  AppendMember(&body, "outcome", event.outcome.empty() ? "ok" : event.outcome);
  AppendMember(&body, "usec", event.duration_us);
  Enqueue(std::move(body));
}

void AuditLog::AddSettings(const AuditEvent& event, const std::vector<std::string_view>& options) {
  std::string body = Begin("settings", event);
  AppendList(&body, "options", options);
  Enqueue(std::move(body), kQueueBytesMax / 4);  // what floods the log must not hide this
}

std::string AuditLog::Begin(const char* kind, const AuditEvent& event) const {
  std::string body = TimeMember();
  AppendMember(&body, "event", kind);
  AppendMember(&body, "id", static_cast<int64_t>(event.client_id));
  AppendMember(&body, "user", event.user.substr(0, kKeyBytesMax));
  AppendMember(&body, "addr", event.address);
  return body;
}

void AuditLog::Enqueue(std::string body, size_t spare) {
  Lock lock(mutex_);
  if (queued_bytes_ + body.size() > kQueueBytesMax + spare) {
    ++dropped_unsaid_;
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  queued_bytes_ += body.size();
  queue_.push_back(std::move(body));
}

std::string AuditLog::TimeMember() const {
  const int64_t now_ms = clock_.WallMs();
  const time_t seconds = now_ms / 1000;
  tm utc;
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t n = strftime(text, sizeof text, "\"time\":\"%Y-%m-%dT%H:%M:%S.", &utc);
  snprintf(text + n, sizeof text - n, "%03dZ\"", static_cast<int>(now_ms % 1000));
  return text;
}

void AuditLog::Main() {
  BeginThread("audit-log");
  Lock lock(mutex_);
  for (;;) {
    wake_.wait_for(lock, failing_ ? kRetryTime : kGatherTime, [this] { return stop_ || reopen_; });
    if (batch_.empty()) {
      batch_.swap(queue_);
      queued_bytes_ = 0;
      if (const uint64_t dropped = std::exchange(dropped_unsaid_, 0); dropped != 0)
        batch_.push_back(TimeMember() +
                         ",\"event\":\"dropped\",\"count\":" + std::to_string(dropped));
    }
    const bool reopen = std::exchange(reopen_, false), stop = stop_;
    lock.unlock();
    bool written = WriteBatch();
    if (reopen) {
      Reopened();
      if (!written) written = WriteBatch();
    }
    lock.lock();
    if (!stop) continue;
    if (written && queue_.empty() && dropped_unsaid_ == 0) return;
    if (written) continue;
    const size_t lost = batch_.size() + queue_.size();
    dropped_.fetch_add(lost, std::memory_order_relaxed);
    log_.Warning("The audit log ends without its last %zu lines", lost);
    batch_.clear();
    queue_.clear();
    queued_bytes_ = dropped_unsaid_ = 0;
    return;
  }
}

// False: the disk refused; the rest is still in batch_.
bool AuditLog::WriteBatch() {
  while (!batch_.empty()) {
    if (!WriteSome()) return false;
  }
  return true;
}

// Some lines, in one write. They are sealed for it and count as written only when it succeeded, so
// that the same ones may begin another file.
bool AuditLog::WriteSome() {
  const uint64_t bytes_max = bytes_max_.load(std::memory_order_relaxed);
  if (bytes_max != 0 && target_.size >= bytes_max) Rotate();
  // A file that is past its size could not be renamed: it grows.
  const uint64_t room = target_.size < bytes_max ? bytes_max - target_.size : kFlushBytes;
  AuditChain chain = target_.chain;
  std::string text;
  size_t lines = 0;
  while (lines < batch_.size() && text.size() < std::min<uint64_t>(kFlushBytes, room)) {
    text += chain.Seal(batch_[lines], lines == 0 && target_.first);
    ++lines;
  }
  const Status status = target_.file->WriteAt(target_.size, text);
  if (!status.ok()) {
    (void)target_.file->Truncate(target_.size);
    failures_.fetch_add(1, std::memory_order_relaxed);
    if (!std::exchange(failing_, true))
      log_.Warning("Cannot write the audit log: %s", status.message().c_str());
    return false;
  }
  failing_ = false;
  target_.size += text.size();
  target_.chain = std::move(chain);
  target_.first = false;
  batch_.erase(batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(lines));
  written_.fetch_add(lines, std::memory_order_relaxed);
  return true;
}

void AuditLog::Reopened() {
  const Status status = Open(std::string(target_.path), &target_);
  if (!status.ok() && !reopen_owed_)
    log_.Warning("Cannot open the audit log again: %s", status.message().c_str());
  reopen_owed_ = !status.ok();
}

// A file that was moved aside is written until there is a new one: what it holds is not moved on.
void AuditLog::Rotate() {
  (void)target_.file->Sync();
  const Status status = reopen_owed_ ? Status::Ok() : MoveAside();
  if (status.ok()) Reopened();
  if (!status.ok() && !rotation_failing_)
    log_.Warning("Cannot rotate the audit log: %s", status.message().c_str());
  rotation_failing_ = !status.ok();
}

Status AuditLog::MoveAside() {
  // Somebody else has moved it already: no reason to move the others.
  auto here = files_.Exists(target_.path);
  if (!here.ok()) return here.status();
  if (!*here) return Status::Ok();
  const auto name = [this](int number) { return target_.path + "." + std::to_string(number); };
  const int keep = std::max(keep_.load(std::memory_order_relaxed), 1);
  for (int number = keep - 1; number >= 1; --number) {
    auto there = files_.Exists(name(number));
    if (there.ok() && *there) (void)files_.Rename(name(number), name(number + 1));
  }
  return files_.Rename(target_.path, name(1));
}

}  // namespace cairn
