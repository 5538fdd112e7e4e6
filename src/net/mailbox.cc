// SPDX-License-Identifier: BSD-3-Clause
#include "net/mailbox.h"

namespace cairn {

Mailbox::~Mailbox() {
  MailTask* task = TakeAll();
  while (task != nullptr) {
    MailTask* next = task->next;
    task->drop(task);
    task = next;
  }
}

MailTask* Mailbox::TakeAll() {
  MailTask* newest = head_.exchange(nullptr, std::memory_order_acquire);
  MailTask* oldest = nullptr;
  while (newest != nullptr) {
    MailTask* before = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = before;
  }
  return oldest;
}

}  // namespace cairn
