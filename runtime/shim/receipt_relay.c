/* The receipt of a container that has ended: the last line of its log, where the pod asks for one. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "guest/api/receipt.h"
#include "runtime/shim/pod.h"

static void on_written(void *owner, struct outlet *outlet)
{
    (void) outlet;
    relay_finish(owner);
}

/* What is no line of text would be taken for output; a hostile guest says what it likes there anyhow. */
static bool is_line(const ProtobufCBinaryData *receipt)
{
    return receipt->len > 0 && receipt->len <= RECEIPT_LEN_MAX && !memchr(receipt->data, '\n', receipt->len);
}

static void on_receipt(struct task *task, const struct reply *reply)
{
    const Agent__GetReceiptResponse *answer = (const Agent__GetReceiptResponse *) reply->response;
    AUTO(buffer) struct buffer       line   = { 0 };

    if (task->state != TASK_STOPPING || task->receipt != RECEIPT_ASKED)
        return;
    task->receipt = RECEIPT_DONE;
    if (!answer || !is_line(&answer->receipt)) {
        log_error("no receipt", "id=%s why=\"%s\"", task->id, answer ? "it is no line" : LOG_PEER(bytes_of_text(reply->why->text)));
        relay_finish(task);
        return;
    }
    buffer_append_text(&line, RECEIPT_LINE);
    buffer_append(&line, (struct bytes){ answer->receipt.data, answer->receipt.len });
    buffer_append_text(&line, "\n");
    relay_give_time(task, SHIM_DRAIN_MS); /* to whoever reads the log */
    outlet_write(&task->outlets[task->terminal ? 0 : 1], buffer_bytes(&line), on_written);
}

bool relay_ask_receipt(struct task *task)
{
    Agent__GetReceiptRequest   request = AGENT__GET_RECEIPT_REQUEST__INIT;
    AUTO(buffer) struct buffer nonce   = { 0 };
    struct err                 err;

    task->receipt = RECEIPT_ASKED;
    request.id    = task->guest_id;
    if (hex_read(bytes_of_text(task->spec.receipt), &nonce, &err)) {
        request.nonce = (ProtobufCBinaryData){ nonce.len, nonce.at };
        if (pod_call(task, &(struct call_request){ "GetReceipt", &request.base, on_receipt, 0, { 0 } }, &err)) {
            relay_give_time(task, SHIM_RECEIPT_WAIT_MS);
            return true;
        }
    }
    log_error("no receipt", "id=%s why=\"%s\"", task->id, err.text);
    task->receipt = RECEIPT_DONE;
    return false;
}
