// SPDX-License-Identifier: BSD-3-Clause
//
// The part of Server that lets others look at it: the audit log and the form of its messages.
#include "exec/audit_log.h"
#include "server/server.h"

namespace cairn {

// Before the first command. The hooks run under scope All: no command is between two of its steps.
Status Server::StartObserving() {
  engine_->audit = std::make_shared<AuditLog>(RealFileSystem(), SystemClock(), &log_);
  const auto set_form = [this](const Config& config) {
    log_.set_json(config.log_format() == LogFormat::kJson);
    return Status::Ok();
  };
  const auto set_rules = [this](const Config& config) {
    auto rules = AuditRules::Parse(config.audit_log_rules(), registry_);
    if (!rules.ok()) return rules.status();
    engine_->audit->SetRules(std::move(*rules));
    engine_->audit->SetRotation(static_cast<uint64_t>(config.audit_log_max_size()),
                                static_cast<int>(config.audit_log_max_files()));
    return Status::Ok();
  };
  const auto set_file = [this](const Config& config) {
    const Status status = engine_->audit->Configure(config.audit_log());
    engine_->SetAudited(engine_->audit->on());
    return status;
  };
  store_.OnChange({"log-format"}, set_form);
  store_.OnChange({"audit-log-rules", "audit-log-max-size", "audit-log-max-files"}, set_rules);
  store_.OnChange({"audit-log"}, set_file);
  (void)set_form(config_);
  CAIRN_RETURN_IF_ERROR(set_rules(config_));
  return set_file(config_);
}

}  // namespace cairn
