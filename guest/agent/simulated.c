#include "guest/agent/simulated.h"

enum { REPORT_LEN = 1184, CERTIFICATES_MAX = 64 << 10 };

static const struct ttrpc_method get_method = { &report_service, "Get" };

struct simulated {
    struct attester     attester; /* first: the interface is a pointer to it */
    struct ttrpc_client client;
};

static FALLIBLE get_report(struct attester *self, const uint8_t report_data[static REPORT_DATA_LEN],
                           struct attested *out, struct err *err)
{
    struct simulated               *s        = (struct simulated *) self;
    Report__GetRequest              request  = REPORT__GET_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *response = NULL;

    request.report_data = (ProtobufCBinaryData){ REPORT_DATA_LEN, (uint8_t *) (uintptr_t) report_data };
    if (!ttrpc_call(&s->client, &get_method, &request.base, SIMULATED_TIMEOUT_MS, &response, err))
        return context(err, "simulated platform");
    const Report__GetResponse *answer = (const Report__GetResponse *) response;
    if (answer->report.len != REPORT_LEN)
        return fail_with(err, ERR_MALFORMED, "simulated platform: report of %zu bytes, wanted %d", answer->report.len,
                         REPORT_LEN);
    if (answer->certificates.len > CERTIFICATES_MAX)
        return fail_with(err, ERR_LIMIT, "simulated platform: over %d bytes of certificates", CERTIFICATES_MAX);
    buffer_append(&out->report, (struct bytes){ answer->report.data, answer->report.len });
    buffer_append(&out->certificates, (struct bytes){ answer->certificates.data, answer->certificates.len });
    return true;
}

static void close_simulated(struct attester *self)
{
    struct simulated *s = (struct simulated *) self;

    (void) close(s->client.fd); /* only reports came over it */
    auto_ttrpc_client(&s->client);
    free(s);
}

FALLIBLE simulated_open(int port_fd_take, struct attester **out, struct err *err)
{
    AUTO(fd) int      fd = port_fd_take;
    struct simulated *s  = calloc(1, sizeof *s);

    if (!s)
        abort();
    if (!ttrpc_client_over(fd, &s->client, err)) {
        free(s);
        return context(err, "simulated platform");
    }
    s->attester = (struct attester){ "snp", get_report, close_simulated };
    (void) TAKE_FD(fd); /* the client's now */
    *out = &s->attester;
    return true;
}

struct ttrpc_client *simulated_client(struct attester *attester)
{
    return &((struct simulated *) attester)->client;
}
