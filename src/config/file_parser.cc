// SPDX-License-Identifier: BSD-3-Clause
#include "config/file_parser.h"

#include <glob.h>

#include "base/numbers.h"
#include "base/quoted_words.h"
#include "config/options.h"

namespace cairn {
namespace {

bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

Result<std::vector<std::string>> FilesOf(const Directive& include) {
  if (include.words.size() != 2) return include.Error("wrong number of arguments");
  const std::string& pattern = include.words[1];
  if (pattern.find_first_of("*?[") == std::string::npos) return std::vector{pattern};
  std::vector<std::string> names;
  glob_t found;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    names.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  return names;  // a pattern that matches nothing is fine, as an empty conf.d is
}

// Names that older Redis versions had and newer ones still accept.
bool IsObsolete(std::string_view name) {
  return name == "list-max-ziplist-entries" || name == "list-max-ziplist-value" ||
         name == "lua-replicate-commands";
}

Status ApplyOption(const Directive& directive, const Option& option, bool* save_seen,
                   Config* config) {
  std::vector<std::string> words(directive.words.begin() + 1, directive.words.end());
  if (words.empty() && option.kind != OptionKind::kWords)
    return directive.Error("wrong number of arguments");
  if (option.kind == OptionKind::kSavePoints) {
    // The first `save` line replaces the defaults, more lines add to it, `save ""` starts anew.
    const bool clear = words.size() == 1 && words[0].empty();
    if (*save_seen && !clear) {
      const std::string earlier = FormatOption(option, *config);
      if (words.size() == 1) {
        auto split = SplitLine(words[0]);
        if (!split.ok()) return directive.Error(split.status().message());
        words = std::move(*split);
      }
      const Words before = *SplitLine(earlier);
      words.insert(words.begin(), before.begin(), before.end());
    }
    *save_seen = true;
  }
  auto value = NormalizeOption(option, words, *config);
  if (!value.ok()) return directive.Error(value.status().message());
  StoreOption(option, *value, config);
  return Status::Ok();
}

}  // namespace

std::string Directive::Where() const {
  std::string where = source;
  if (line != 0) where += ":" + ToString(int64_t{line});
  return where + ": '" + text + "'";
}

Status Directive::Error(std::string_view why) const {
  return Status::Invalid(Where() + ": " + std::string(why));
}

Result<Words> SplitLine(std::string_view line) {
  std::string text;
  std::vector<std::string_view> words;
  if (!SplitQuotedWords(line, &text, &words))
    return Status::Invalid("Unbalanced quotes in configuration line");
  return Words(words.begin(), words.end());
}

std::string QuoteText(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (char c : text) {
    switch (c) {
      case '\n': quoted += "\\n"; break;
      case '\r': quoted += "\\r"; break;
      case '\t': quoted += "\\t"; break;
      case '\b': quoted += "\\b"; break;
      case '\a': quoted += "\\a"; break;
      case '"':
      case '\\': (quoted += '\\') += c; break;
      default:
        if (c >= ' ' && c <= '~') {
          quoted += c;
        } else {
          const auto byte = static_cast<unsigned char>(c);
          ((quoted += "\\x") += kHex[byte >> 4]) += kHex[byte & 15];
        }
    }
  }
  return quoted + '"';
}

std::string QuoteWord(std::string_view word) {
  bool plain = !word.empty();
  for (char c : word)
    if (c <= ' ' || c > '~' || c == '"' || c == '\'' || c == '\\') plain = false;
  return plain ? std::string(word) : QuoteText(word);
}

Result<std::vector<Directive>> ParseText(FileSystem* files, const std::string& source,
                                         std::string_view text, int depth) {
  std::vector<Directive> directives;
  int number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = Trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.empty() || line[0] == '#') continue;
    Directive directive{source, number, std::string(line), {}};
    auto words = SplitLine(line);
    if (!words.ok()) return directive.Error(words.status().message());
    directive.words = std::move(*words);
    if (!EqualsIgnoreCase(directive.words[0], "include")) {
      directives.push_back(std::move(directive));
      continue;
    }
    if (depth == kIncludeDepthMax) return directive.Error("includes nest too deep");
    auto names = FilesOf(directive);
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      auto content = files->ReadFile(name);
      if (!content.ok()) return directive.Error(content.status().message());
      auto inner = ParseText(files, name, *content, depth + 1);
      if (!inner.ok()) return inner.status();
      for (Directive& one : *inner) directives.push_back(std::move(one));
    }
  }
  return directives;
}

Status ApplyDirectives(const std::vector<Directive>& directives, Config* config) {
  bool save_seen = false;
  for (const Directive& directive : directives) {
    const std::string name = ToLower(directive.words[0]);
    const size_t count = directive.words.size() - 1;
    const Words rest(directive.words.begin() + 1, directive.words.end());
    if (const Option* option = FindOption(name)) {
      CAIRN_RETURN_IF_ERROR(ApplyOption(directive, *option, &save_seen, config));
    } else if (name == "user" && count >= 1) {
      continue;  // not an option; ConfigStore hands the lines on
    } else if (name == "rename-command" && count == 2) {
      WordLines renamed = config->renamed_commands();
      renamed.push_back(rest);
      config->renamed_commands.Store(std::move(renamed));
    } else if (name == "loadmodule") {
      return directive.Error("Cairn loads no modules");
    } else if (name == "sentinel") {
      return directive.Error("Cairn is no Sentinel; run redis-sentinel beside it");
    } else if (!IsObsolete(name)) {
      return directive.Error("Bad directive or wrong number of arguments");
    }
  }
  return Status::Ok();
}

}  // namespace cairn
