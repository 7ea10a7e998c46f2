#include "attestation/attester/sev_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sev-guest.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "attestation/attester/report_match.h"
#include "attestation/evidence/snp_certificates.h"
#include "attestation/evidence/snp_report.h"

enum { MESSAGE_VERSION = 1, ATTEMPTS = 8, RETRY_DELAY_MS = 100 };

struct sev_guest_attester {
    struct attester attester; /* first: a pointer to it is a pointer to us */
    int             fd;
    device_control *control;
    uint32_t        vmpl;
};

static int kernel_control(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument);
}

/* What one control call is about; the structures are the kernel's. */
struct call {
    struct snp_ext_report_req      request;
    struct snp_report_resp         response;
    struct snp_guest_request_ioctl frame;
    struct buffer                  certificates;
};

static void call_free(struct call *c)
{
    buffer_free(&c->certificates);
}
static inline void auto_call(struct call *c) { call_free(c); }

static int call_once(const struct sev_guest_attester *s, struct call *c)
{
    c->request.certs_address = (uintptr_t) c->certificates.at;
    c->request.certs_len     = (uint32_t) c->certificates.len;
    c->response              = (struct snp_report_resp){ { 0 } };
    c->frame                 = (struct snp_guest_request_ioctl){ .msg_version = MESSAGE_VERSION,
                                                                 .req_data    = (uintptr_t) &c->request,
                                                                 .resp_data   = (uintptr_t) &c->response };
    return s->control(s->fd, SNP_GET_EXT_REPORT, &c->frame);
}

/* Calls until the certificates fit and the host is not busy. */
static FALLIBLE call_to_end(const struct sev_guest_attester *s, struct call *c, struct err *err)
{
    const struct timespec delay = { 0, RETRY_DELAY_MS * 1000L * 1000L };

    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (call_once(s, c) == 0)
            return true;
        if (c->frame.vmm_error == SNP_GUEST_VMM_ERR_INVALID_LEN) {
            if (c->request.certs_len <= c->certificates.len || c->request.certs_len > SNP_TABLE_LEN_MAX)
                return fail_with(err, ERR_LIMIT, "host wants room for %u bytes of certificates", c->request.certs_len);
            buffer_grow(&c->certificates, c->request.certs_len - c->certificates.len);
        } else if (c->frame.vmm_error == SNP_GUEST_VMM_ERR_BUSY || errno == EAGAIN || errno == EINTR) {
            (void) nanosleep(&delay, NULL); /* a shorter pause does no harm */
        } else {
            return err_os(err, "extended report: firmware error %#x, host error %#x", c->frame.fw_error,
                          c->frame.vmm_error);
        }
    }
    return fail_with(err, ERR_TIMEOUT, "host stays busy");
}

/* MSG_REPORT_RSP: status, size, 24 reserved bytes, the report. [SNP-ABI 7.3] */
static FALLIBLE response_read(const struct call *c, struct attested *out, struct err *err)
{
    struct reader r      = reader_over(BYTES_OF(c->response.data));
    uint32_t      status = take_u32le(&r);
    uint32_t      size   = take_u32le(&r);
    take(&r, 24);
    struct bytes  report = take(&r, size);

    if (!reader_ok(&r, err))
        return context(err, "report response");
    if (status != 0 || size != SNP_REPORT_LEN)
        return fail_with(err, ERR_MALFORMED, "report response: status %#x, %u bytes", status, size);
    buffer_append(&out->report, report);
    return true;
}

static FALLIBLE evidence(struct attester *self, const uint8_t report_data[static REPORT_DATA_LEN], struct attested *out,
                         struct err *err)
{
    const struct sev_guest_attester *s = (const struct sev_guest_attester *) self;
    AUTO(attested) struct attested   found = { 0 };
    AUTO(call) struct call           c     = { .request = { .data = { .vmpl = s->vmpl } } };

    memcpy(c.request.data.user_data, report_data, REPORT_DATA_LEN);
    if (!call_to_end(s, &c, err) || !response_read(&c, &found, err) ||
        !report_matches("snp", buffer_bytes(&found.report), (struct bytes){ report_data, REPORT_DATA_LEN }, err))
        return context(err, "sev-guest");
    found.certificates = TAKE(c.certificates);
    *out               = TAKE(found);
    return true;
}

static void sev_guest_close(struct attester *self)
{
    struct sev_guest_attester *s = (struct sev_guest_attester *) self;

    (void) close(s->fd); /* nothing was written to it */
    free(s);
}

FALLIBLE sev_guest_attester_open(const struct sev_guest_options *options, struct attester **out, struct err *err)
{
    const char                *path = options && options->device ? options->device : "/dev/sev-guest";
    struct sev_guest_attester *s    = NULL;
    int                        fd   = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "no %s: is this an SEV-SNP guest?", path)
                               : err_os(err, "open %s", path);
    s = zeroed(1, sizeof *s);
    *s = (struct sev_guest_attester){
        .attester = { "snp", evidence, sev_guest_close },
        .fd       = fd,
        .control  = options && options->control ? options->control : kernel_control,
        .vmpl     = options ? options->vmpl : 0,
    };
    *out = &s->attester;
    return true;
}
