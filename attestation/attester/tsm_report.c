#include "attestation/attester/tsm_report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "attestation/attester/report_match.h"
#include "attestation/evidence/event_log.h"
#include "base/file.h"
#include "base/ossl.h"
#include "base/text.h"

enum { ATTRIBUTE_LEN_MAX = 64, RETRY_DELAY_MS = 50 };

struct tsm_attester {
    struct attester attester; /* first: a pointer to it is a pointer to us */
    char            root[PATH_MAX], ccel[PATH_MAX], rtmr3[PATH_MAX];
    char            entry[NAME_MAX + 1]; /* empty: one per request */
};

/* One request's directory in configfs. */
struct tsm_entry {
    char path[PATH_MAX];
    bool is_ours;
};

static void entry_close(struct tsm_entry *e)
{
    if (e->is_ours)
        (void) rmdir(e->path); /* the kernel removes the attributes; nothing else can be done about a failure */
}
static inline void auto_tsm_entry(struct tsm_entry *e) { entry_close(e); }

static FALLIBLE path_join(char out[static PATH_MAX], const char *folder, const char *name, struct err *err)
{
    struct buffer joined = { 0 };
    bool          fits;

    buffer_printf(&joined, "%s/%s", folder, name);
    fits = joined.len < PATH_MAX;
    if (fits)
        memcpy(out, buffer_text(&joined), joined.len + 1);
    buffer_free(&joined);
    return fits || fail_with(err, ERR_LIMIT, "path of %s in %s is too long", name, folder);
}

static FALLIBLE entry_open(const struct tsm_attester *t, struct tsm_entry *e, struct err *err)
{
    AUTO(buffer) struct buffer name      = { 0 };
    uint8_t                    random[8];

    if (t->entry[0])
        return path_join(e->path, t->root, t->entry, err);
    if (!random_bytes(random, sizeof random, err))
        return false;
    buffer_append_text(&name, "cloister-");
    hex_append(&name, BYTES_OF(random));
    if (!path_join(e->path, t->root, buffer_text(&name), err))
        return false;
    if (mkdir(e->path, 0700) != 0)
        return errno == ENOENT || errno == ENXIO
                   ? fail_with(err, ERR_NOT_FOUND, "no TSM provider behind %s: is configfs mounted, is this a TEE guest?",
                               t->root)
                   : err_os(err, "make %s", e->path);
    e->is_ours = true;
    return true;
}

static FALLIBLE attribute_read(const struct tsm_entry *e, const char *name, size_t most, struct buffer *out,
                               struct err *err)
{
    char path[PATH_MAX];

    return path_join(path, e->path, name, err) && file_read(path, most, out, err);
}

/* The text of a short attribute, without its line end. */
static FALLIBLE text_read(const struct tsm_entry *e, const char *name, struct buffer *out, struct err *err)
{
    if (!attribute_read(e, name, ATTRIBUTE_LEN_MAX, out, err))
        return false;
    if (out->len > 0 && out->at[out->len - 1] == '\n')
        out->len--;
    return true;
}

/* The driver takes the report data in one write of its whole length, or not at all. */
static FALLIBLE inblob_write(const struct tsm_entry *e, struct bytes report_data, struct err *err)
{
    char         path[PATH_MAX];
    AUTO(fd) int fd = NO_FD;
    ssize_t      n;

    if (!path_join(path, e->path, "inblob", err))
        return false;
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_os(err, "open %s", path);
    n = write(fd, report_data.at, report_data.len);
    if (n < 0)
        return err_os(err, "write %s", path);
    return (size_t) n == report_data.len || fail_with(err, ERR_UNSUPPORTED, "%s took %zd of %zu bytes", path, n,
                                                      report_data.len);
}

static FALLIBLE provider_read(const struct tsm_entry *e, const char **tee, struct err *err)
{
    AUTO(buffer) struct buffer provider = { 0 };

    if (!text_read(e, "provider", &provider, err))
        return false;
    if (bytes_equal(buffer_bytes(&provider), bytes_of_text("sev_guest")))
        *tee = "snp";
    else if (bytes_equal(buffer_bytes(&provider), bytes_of_text("tdx_guest")))
        *tee = "tdx";
    else
        return fail_with(err, ERR_UNSUPPORTED, "TSM provider is neither sev_guest nor tdx_guest");
    return true;
}

/* Worth another attempt: a request of someone else, or a host that was not ready. */
static bool is_transient(const struct err *err)
{
    return err->kind == ERR_OS && (err->os_errno == EBUSY || err->os_errno == EINTR || err->os_errno == EWOULDBLOCK ||
                                   err->os_errno == ETIMEDOUT);
}

/* One attempt. `again` is set when the failure may pass. */
static FALLIBLE request(const struct tsm_entry *e, const char *tee, struct bytes report_data, struct attested *out,
                        bool *again, struct err *err)
{
    AUTO(buffer) struct buffer before = { 0 }, after = { 0 };
    bool                       is_snp = strcmp(tee, "snp") == 0;

    if (!inblob_write(e, report_data, err) || !text_read(e, "generation", &before, err) ||
        !attribute_read(e, "outblob", TSM_BLOB_LEN_MAX, &out->report, err) ||
        (is_snp && !attribute_read(e, "auxblob", TSM_BLOB_LEN_MAX, &out->certificates, err) &&
         err->kind != ERR_NOT_FOUND) ||
        !text_read(e, "generation", &after, err)) {
        *again = is_transient(err);
        return false;
    }
    if (!bytes_equal(buffer_bytes(&before), buffer_bytes(&after))) {
        *again = true;
        return fail_with(err, ERR_UNTRUSTED, "another request came between: generation changed");
    }
    *again = false;
    return report_matches(tee, buffer_bytes(&out->report), report_data, err);
}

static FALLIBLE evidence(struct attester *self, const uint8_t report_data[static REPORT_DATA_LEN], struct attested *out,
                         struct err *err)
{
    const struct tsm_attester         *t     = (const struct tsm_attester *) self;
    AUTO(attested) struct attested     found = { 0 };
    AUTO(tsm_entry) struct tsm_entry   e     = { 0 };
    struct bytes                       asked = { report_data, REPORT_DATA_LEN };
    bool                               again = true;

    if (!entry_open(t, &e, err))
        return context(err, "TSM report");
    for (int attempt = 0; again && attempt < TSM_ATTEMPTS; attempt++) {
        const struct timespec delay = { 0, RETRY_DELAY_MS * 1000L * 1000L };

        if (attempt > 0)
            (void) nanosleep(&delay, NULL); /* a shorter pause does no harm */
        attested_free(&found);
        found = (struct attested){ 0 };
        if (!request(&e, self->tee, asked, &found, &again, err))
            continue;
        if (strcmp(self->tee, "tdx") == 0 && !file_read(t->ccel, EVENT_LOG_LEN_MAX, &found.event_log, err) &&
            err->kind != ERR_NOT_FOUND)
            return context(err, "CCEL");
        *out = TAKE(found);
        return true;
    }
    return context(err, "TSM report");
}

/* One write of the whole digest extends; the kernel takes no part of one. [Linux ABI sysfs-devices-virtual-misc-tdx_guest] */
static FALLIBLE extend(struct attester *self, struct bytes digest, struct err *err)
{
    const struct tsm_attester *t  = (const struct tsm_attester *) self;
    AUTO(fd) int               fd = open(t->rtmr3, O_WRONLY | O_CLOEXEC);
    ssize_t                    n  = fd < 0 ? -1 : write(fd, digest.at, digest.len);

    if (n < 0)
        return err_os(err, "extend RTMR3");
    return (size_t) n == digest.len || fail_with(err, ERR_UNSUPPORTED, "extend RTMR3: %zd of %zu bytes were taken", n, digest.len);
}

static void tsm_close(struct attester *self)
{
    free(self);
}

FALLIBLE tsm_attester_open(const struct tsm_options *options, struct attester **out, struct err *err)
{
    static const struct tsm_options  defaults = { 0 };
    const struct tsm_options        *o        = options ? options : &defaults;
    AUTO(attester) struct attester  *made     = NULL;
    struct tsm_attester             *t        = zeroed(1, sizeof *t);
    AUTO(tsm_entry) struct tsm_entry e        = { 0 };

    t->attester = (struct attester){ NULL, evidence, tsm_close };
    made        = &t->attester;
    if (strlen(o->entry ? o->entry : "") > NAME_MAX)
        return fail_with(err, ERR_CONFIG, "TSM entry's name is too long");
    memcpy(t->entry, o->entry ? o->entry : "", strlen(o->entry ? o->entry : "") + 1);
    if (!path_join(t->root, o->root ? o->root : "/sys/kernel/config/tsm", o->root ? "." : "report", err) ||
        !path_join(t->ccel, "/", o->ccel ? o->ccel : "sys/firmware/acpi/tables/data/CCEL", err) ||
        !path_join(t->rtmr3, "/", o->rtmr3 ? o->rtmr3 : "sys/devices/virtual/misc/tdx_guest/measurements/rtmr3:sha384", err) ||
        !entry_open(t, &e, err) || !provider_read(&e, &t->attester.tee, err))
        return context(err, "TSM report");
    if (strcmp(t->attester.tee, "tdx") == 0 && access(t->rtmr3, W_OK) == 0) {
        t->attester.extend  = extend;
        t->attester.runtime = (struct runtime_register){ "rtmr3", CC_RTMR3, TPM_SHA384 };
    }
    *out = TAKE(made);
    return true;
}
