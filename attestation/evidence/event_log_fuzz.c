/* The first byte chooses the kind of log; the rest is the log. */
#include "attestation/evidence/event_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum event_log_kind kind = size > 0 && (data[0] & 1) ? EVENT_LOG_CCEL : EVENT_LOG_TPM;
    struct event_log    log;
    struct event_replay replay;
    struct event        e;
    struct err          err;

    if (size == 0 || !event_log_parse((struct bytes){ data + 1, size - 1 }, kind, &log, &err))
        return 0;
    size_t        n = 0;
    struct reader r = reader_over(log.events);

    while (event_next(&log, &r, &e)) {
        for (size_t bank = 0; bank < log.n_hashes; bank++)
            (void) event_data_name(event_data_judge(&log, &e, bank)); /* only that it ends */
        (void) event_type_name(e.type);
        n++;
    }
    if (n != log.n_events || r.left.len > 0)
        __builtin_trap(); /* the walk that parsed and the walk that reads must agree */
    for (size_t bank = 0; bank < log.n_hashes; bank++)
        if (event_log_replay(&log, log.hash[bank]->id, &replay, &err))
            (void) event_replay_has_extra_separators(&log, &replay);
    return 0;
}
