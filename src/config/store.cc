// SPDX-License-Identifier: BSD-3-Clause
#include "config/store.h"

#include <limits.h>
#include <stdlib.h>

#include <algorithm>

#include "base/glob.h"
#include "base/numbers.h"
#include "config/file_parser.h"
#include "config/rewrite.h"

namespace cairn {
namespace {

constexpr const char* kCommandLine = "command line";

// "ERR " goes before, as before every error of Redis.
Status SetFailed(const std::string& name, const std::string& why) {
  return Status::Invalid("CONFIG SET failed (possibly related to argument '" + name + "') - " + why);
}

}  // namespace

Result<CommandLine> ParseCommandLine(std::span<const std::string> arguments) {
  CommandLine line;
  size_t i = 0;
  if (i < arguments.size() && !arguments[i].starts_with('-')) line.file = arguments[i++];
  bool open = false;       // a directive has begun
  bool has_value = false;  // and has a value
  auto finish = [&] {
    // `--save` alone means "no snapshots", as in redis-server.
    if (open && !has_value && line.directives.ends_with("save")) line.directives += " \"\"";
    if (open) line.directives += '\n';
    has_value = false;
  };
  for (; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "-" && (!open || i + 1 == arguments.size())) {
      line.standard_input = true;
    } else if (word.starts_with("--")) {
      finish();
      open = true;
      // "--port 6380" as one argument holds name and value.
      has_value = word.find(' ') != std::string::npos;
      line.directives += word.substr(2);
    } else if (open) {
      line.directives += ' ' + QuoteWord(word);
      has_value = true;
    } else {
      return Status::Invalid("command line: '" + word + "': options start with --; see --help");
    }
  }
  finish();
  return line;
}

Status ConfigStore::Load(const CommandLine& line, std::string_view standard_input) {
  std::lock_guard lock(mutex_);
  std::vector<Directive> all;
  auto add = [&](const std::string& source, std::string_view text) -> Status {
    auto directives = ParseText(files_, source, text);
    if (!directives.ok()) return directives.status();
    for (Directive& directive : *directives) {
      // The words of a command line have no line number that its user could know.
      if (source == kCommandLine) directive.line = 0;
      all.push_back(std::move(directive));
    }
    return Status::Ok();
  };
  if (!line.file.empty()) {
    char absolute[PATH_MAX];
    file_ = realpath(line.file.c_str(), absolute) != nullptr ? absolute : line.file;
    auto text = files_->ReadFile(line.file);
    if (!text.ok()) return Status::NotFound("can't open config file: " + text.status().message());
    CAIRN_RETURN_IF_ERROR(add(line.file, *text));
  }
  CAIRN_RETURN_IF_ERROR(add("standard input", standard_input));
  CAIRN_RETURN_IF_ERROR(add(kCommandLine, line.directives));
  for (const Directive& directive : all)
    if (EqualsIgnoreCase(directive.words[0], "user")) user_directives_.push_back(directive);
  CAIRN_RETURN_IF_ERROR(ApplyDirectives(all, &config_));
  for (const Directive& directive : all)
    if (const Option* option = FindOption(directive.words[0])) origins_[option] = directive.Where();
  return Status::Ok();
}

std::string ConfigStore::Origin(std::string_view name) const {
  const Option* option = FindOption(name);
  CHECK(option != nullptr);
  const auto found = origins_.find(option);
  if (found != origins_.end()) return found->second;
  return std::string("default: '") + option->name + " " + option->fallback + "'";
}

std::string ConfigStore::InertWarning() const {
  std::string names;
  for (const Option& option : Options()) {
    // A directive at its default asks for nothing, so nobody needs to hear about it.
    if (!option.is(kInert) || FormatOption(option, config_) == option.fallback) continue;
    (names += names.empty() ? "" : ", ") += option.name;
  }
  return names.empty() ? names : "these directives have no effect in Cairn: " + names;
}

void ConfigStore::OnChange(std::vector<std::string> names, Hook hook) {
  Registration registration;
  for (const std::string& name : names) {
    registration.options.push_back(FindOption(name));
    CHECK(registration.options.back() != nullptr);
  }
  registration.hook = std::move(hook);
  std::lock_guard lock(mutex_);
  hooks_.push_back(std::move(registration));
}

ConfigStore::Pairs ConfigStore::Get(std::span<const std::string_view> patterns) const {
  std::lock_guard lock(mutex_);
  Pairs pairs;
  auto add = [&](std::string_view name, const Option& option) {
    for (const auto& [known, value] : pairs)
      if (EqualsIgnoreCase(known, name)) return;
    pairs.emplace_back(name, FormatOption(option, config_));
  };
  for (std::string_view pattern : patterns) {
    if (GlobIsLiteral(pattern)) {
      const Option* option = FindOption(pattern);
      if (option != nullptr) add(pattern, *option);
      continue;
    }
    for (const Option& option : Options()) {
      if (GlobMatch(pattern, option.name, true)) add(option.name, option);
      if (option.alias != nullptr && GlobMatch(pattern, option.alias, true))
        add(option.alias, option);
    }
  }
  return pairs;
}

Status ConfigStore::Set(const Pairs& pairs, bool may_set_protected) {
  std::lock_guard lock(mutex_);
  std::vector<const Option*> options;
  for (const auto& [name, value] : pairs) {
    const Option* option = FindOption(name);
    if (option == nullptr)
      return Status::Invalid("Unknown option or number of arguments for CONFIG SET - '" + name + "'");
    options.push_back(option);
  }
  // Everything is judged before anything changes, so that other threads never see values of a
  // command that fails here.
  std::vector<std::string> values, old_values;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Option& option = *options[i];
    if (option.is(kImmutable)) return SetFailed(pairs[i].first, "can't set immutable config");
    if (option.is(kProtected) && !may_set_protected)
      return SetFailed(pairs[i].first, "can't set protected config");
    for (size_t j = 0; j < i; ++j)
      if (EqualsIgnoreCase(pairs[j].first, pairs[i].first))
        return SetFailed(pairs[i].first, "duplicate parameter");
    auto value = NormalizeOption(option, {&pairs[i].second, 1}, config_);
    if (!value.ok()) return SetFailed(pairs[i].first, value.status().message());
    values.push_back(std::move(*value));
    old_values.push_back(FormatOption(option, config_));
  }
  for (size_t i = 0; i < options.size(); ++i) StoreOption(*options[i], values[i], &config_);

  std::vector<const Registration*> agreed;
  for (const Registration& registration : hooks_) {
    size_t i = 0;
    while (i < options.size() && std::find(registration.options.begin(), registration.options.end(),
                                           options[i]) == registration.options.end())
      ++i;
    if (i == options.size()) continue;
    if (Status status = registration.hook(config_); !status.ok()) {
      for (size_t j = options.size(); j-- > 0;)
        StoreOption(*options[j], old_values[j], &config_);
      // They took back what they themselves had in force a moment ago; there is nothing to refuse.
      for (const Registration* other : agreed) (void)other->hook(config_);
      return SetFailed(pairs[i].first, status.message());
    }
    agreed.push_back(&registration);
  }
  return Status::Ok();
}

void ConfigStore::SetInternally(std::string_view name, std::string_view text) {
  std::lock_guard lock(mutex_);
  CHECK(SetOption(&config_, name, text).ok());
}

Status ConfigStore::Rewrite(const std::optional<std::vector<std::string>>& user_lines) {
  if (file_.empty()) return Status::NotFound("The server is running without a config file");
  // Files are slow and CONFIG SET waits for mutex_ with every lock of the server held: what is in
  // force is copied first.
  std::lock_guard rewriting(rewrite_mutex_);
  Config config;
  {
    std::lock_guard lock(mutex_);
    for (const Option& option : Options())
      StoreOption(option, FormatOption(option, config_), &config);
  }
  auto failed = [](const Status& why) {
    return Status::Io("Rewriting config file: " + why.message());
  };
  std::string old_text;
  auto exists = files_->Exists(file_);
  if (!exists.ok()) return failed(exists.status());
  if (*exists) {  // a file that was removed since is written anew
    auto read = files_->ReadFile(file_);
    if (!read.ok()) return failed(read.status());
    old_text = std::move(*read);
  }
  auto text = RewriteText(files_, file_, old_text, config, user_lines);
  if (!text.ok()) return failed(text.status());
  if (*text == old_text) return Status::Ok();
  if (Status status = files_->WriteFileAtomically(file_, *text); !status.ok())
    return failed(status);
  return Status::Ok();
}

}  // namespace cairn
