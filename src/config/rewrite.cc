// SPDX-License-Identifier: BSD-3-Clause
#include "config/rewrite.h"

#include <algorithm>

#include "base/numbers.h"
#include "config/file_parser.h"
#include "config/options.h"

namespace cairn {
namespace {

constexpr int64_t kKiB = 1024, kMiB = kKiB * 1024, kGiB = kMiB * 1024;

using Lines = std::vector<std::string>;

Lines SplitLines(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string JoinLines(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

// The lower-case directive name of a line, "" for comments and empty lines.
std::string NameOf(const std::string& line) {
  const size_t start = line.find_first_not_of(" \t\r");
  if (start == std::string::npos || line[start] == '#') return "";
  auto words = SplitLine(line);
  return words.ok() && !words->empty() ? ToLower((*words)[0]) : "";
}

bool Sets(const std::string& line, const Option& option) {
  const std::string name = NameOf(line);
  return name == option.name || (option.alias != nullptr && name == option.alias);
}

std::string FormatMemory(int64_t bytes) {
  if (bytes != 0 && bytes % kGiB == 0) return ToString(bytes / kGiB) + "gb";
  if (bytes != 0 && bytes % kMiB == 0) return ToString(bytes / kMiB) + "mb";
  if (bytes != 0 && bytes % kKiB == 0) return ToString(bytes / kKiB) + "kb";
  return ToString(bytes);
}

// The lines that give `option` its value in `config`, whatever was set before them.
Lines LinesOf(const Option& option, const Config& config) {
  const std::string value = FormatOption(option, config);
  const std::string head = std::string(option.name) + " ";
  Lines lines;
  switch (option.kind) {
    case OptionKind::kMemory:
    case OptionKind::kMemoryOrPercent: {
      int64_t bytes;
      return {head + (ParseInt64(value, &bytes) ? FormatMemory(bytes) : value)};
    }
    case OptionKind::kText:
    case OptionKind::kFileName:
    case OptionKind::kTitleTemplate:
    case OptionKind::kNotifyFlags: return {head + QuoteText(value)};
    case OptionKind::kSavePoints:
      // Lines add up, also over included files, so the list starts anew.
      lines.push_back(head + "\"\"");
      for (const SavePoint& point : config.save())
        lines.push_back(head + ToString(point.seconds) + " " + ToString(point.changes));
      return lines;
    case OptionKind::kBufferLimits: {
      constexpr const char* kClasses[] = {"normal ", "replica ", "pubsub "};
      for (size_t i = 0; i < 3; ++i) {
        const BufferLimit& limit = config.client_output_buffer_limit()[i];
        lines.push_back(head + kClasses[i] + FormatMemory(limit.hard_bytes) + " " +
                        FormatMemory(limit.soft_bytes) + " " + ToString(limit.soft_seconds));
      }
      return lines;
    }
    case OptionKind::kReplicaOf: return {head + (value.empty() ? "no one" : value)};
    default: return {head + (value.empty() ? "\"\"" : value)};
  }
}

Status LoadText(FileSystem* files, const std::string& name, std::string_view text, Config* config) {
  auto directives = ParseText(files, name, text);
  if (!directives.ok()) return directives.status();
  return ApplyDirectives(*directives, config);
}

// Puts `replacement` where the last line that `matches` stood and removes the others; false, and
// nothing done, when there is none.
template <typename Matches>
bool ReplaceLines(Lines* lines, const Lines& replacement, Matches matches) {
  const auto last = std::find_if(lines->rbegin(), lines->rend(), matches);
  if (last == lines->rend()) return false;
  const size_t after = static_cast<size_t>(last.base() - lines->begin());
  Lines result;
  for (size_t i = 0; i < lines->size(); ++i) {
    if (!matches((*lines)[i])) result.push_back((*lines)[i]);
    if (i + 1 == after) result.insert(result.end(), replacement.begin(), replacement.end());
  }
  *lines = std::move(result);
  return true;
}

void AppendLines(Lines* lines, const Lines& more) {
  if (std::find(lines->begin(), lines->end(), kRewriteMarker) == lines->end()) {
    if (!lines->empty() && !lines->back().empty()) lines->emplace_back();
    lines->emplace_back(kRewriteMarker);
  }
  lines->insert(lines->end(), more.begin(), more.end());
}

std::vector<const Option*> Differences(const Config& a, const Config& b) {
  std::vector<const Option*> options;
  for (const Option& option : Options())
    if (FormatOption(option, a) != FormatOption(option, b)) options.push_back(&option);
  return options;
}

}  // namespace

Result<std::string> RewriteText(FileSystem* files, const std::string& name, std::string_view text,
                                const Config& config,
                                const std::optional<std::vector<std::string>>& user_lines) {
  Lines lines = SplitLines(text);
  if (user_lines) {
    Lines users;
    for (const std::string& user : *user_lines) users.push_back("user " + user);
    auto is_user = [](const std::string& line) { return NameOf(line) == "user"; };
    if (!ReplaceLines(&lines, users, is_user) && !users.empty()) AppendLines(&lines, users);
  }
  {
    Config loaded;
    CAIRN_RETURN_IF_ERROR(LoadText(files, name, JoinLines(lines), &loaded));
    for (const Option* option : Differences(loaded, config)) {
      const Lines replacement = LinesOf(*option, config);
      auto sets = [&](const std::string& line) { return Sets(line, *option); };
      if (!ReplaceLines(&lines, replacement, sets)) AppendLines(&lines, replacement);
    }
  }
  // An include behind a replaced line may still win; then the line has to come last.
  {
    Config loaded;
    CAIRN_RETURN_IF_ERROR(LoadText(files, name, JoinLines(lines), &loaded));
    for (const Option* option : Differences(loaded, config))
      AppendLines(&lines, LinesOf(*option, config));
  }
  Config loaded;
  CAIRN_RETURN_IF_ERROR(LoadText(files, name, JoinLines(lines), &loaded));
  const auto wrong = Differences(loaded, config);
  if (!wrong.empty())
    return Status::Invalid(std::string("the file cannot express ") + wrong[0]->name);
  return JoinLines(lines);
}

}  // namespace cairn
