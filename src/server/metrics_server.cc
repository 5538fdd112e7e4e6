// SPDX-License-Identifier: BSD-3-Clause
#include "server/metrics_server.h"

#include "server/metrics_text.h"
#include "server/server.h"

namespace cairn {
namespace {

constexpr size_t kHeadBytesMax = 8192;
constexpr int64_t kRequestMs = 10'000;

std::string Response(std::string_view status, std::string_view body, bool with_body) {
  const bool metrics = body.starts_with("# HELP");
  std::string text = "HTTP/1.1 " + std::string(status) + "\r\nContent-Type: text/plain" +
                     (metrics ? "; version=0.0.4" : "") +
                     "; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) +
                     "\r\nConnection: close\r\n\r\n";
  if (with_body) text += body;
  return text;
}

}  // namespace

// One request and its answer.
class MetricsServer::Exchange final : public ConnectionHandler {
 public:
  explicit Exchange(MetricsServer* server) : server_(*server) { server_.connections_++; }
  ~Exchange() override { server_.connections_--; }

  void Begin(Connection& connection) {
    deadline_.set_callback([&connection] { connection.Close(); });
    connection.worker().ScheduleAfter(&deadline_, kRequestMs);
  }

  void OnData(Connection& connection, char* data, size_t n) override {
    if (connection.closing()) return;
    head_.append(data, n);
    const size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos && head_.size() < kHeadBytesMax) return;
    connection.out().Append(end == std::string::npos
                                ? Response("431 Request Header Fields Too Large", "", false)
                                : server_.Answer(connection.worker(), head_));
    connection.CloseAfterFlush();
  }

  void OnClosed(Connection&) override { delete this; }

 private:
  MetricsServer& server_;
  std::string head_;
  Timer deadline_;
};

Status MetricsServer::Listen(WorkerPool* pool) {
  if (const Status status = ports_.Open(); !status.ok())
    return Status::Io("Could not create metrics listening socket " + status.message());
  listener_ = std::make_unique<Listener>(
      pool, ports_.fds(), ListenOptions(config_),
      [this](Worker&, int, std::string* refusal) -> ConnectionHandler* {
        if (connections_.load() < kConnectionsMax) return new Exchange(this);
        *refusal = Response("503 Service Unavailable", "", false);
        return nullptr;
      },
      [](Connection& connection) {
        static_cast<Exchange*>(connection.handler())->Begin(connection);
      });
  return Status::Ok();
}

std::string MetricsServer::NotReady() const {
  const Modes& modes = server_.engine().modes;
  if (modes.Has(kModeLoading)) return "loading\n";
  if (modes.Has(kModeShutdown)) return "shutting down\n";
  if (modes.Has(kModeBusyScript)) return "busy running a script\n";
  if (modes.Has(kModeLogRefused)) return "the journal cannot be written\n";
  return "";
}

std::string MetricsServer::Answer(Worker& worker, std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const bool get = line.starts_with("GET ");
  if (!get && !line.starts_with("HEAD ")) return Response("405 Method Not Allowed", "", false);
  std::string_view path = line.substr(line.find(' ') + 1);
  path = path.substr(0, path.find_first_of(" ?"));
  if (path == "/health") return Response("200 OK", "ok\n", get);
  if (path == "/ready") {
    const std::string reason = NotReady();
    return reason.empty() ? Response("200 OK", "ready\n", get)
                          : Response("503 Service Unavailable", reason, get);
  }
  if (path != "/metrics") return Response("404 Not Found", "", false);
  // As INFO, which is a command.
  Executor& executor = server_.context(static_cast<size_t>(worker.index())).executor;
  if (!executor.EnterGateUnlessHeld())
    return Response("503 Service Unavailable", "busy running a script\n", get);
  const std::string info = server_.Info({"everything"});
  executor.LeaveGate();
  return Response("200 OK", MetricsText(info), get);
}

}  // namespace cairn
