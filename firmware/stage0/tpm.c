#include "firmware/stage0/tpm.h"

#include <string.h>

#include "firmware/stage0/boot_log.h"

/* TIS and CRB share their place. */
enum { TIS_ACCESS = 0x00, TIS_STATUS = 0x18, TIS_FIFO = 0x24, TIS_ID = 0xf00 };
enum { CRB_LOCALITY_CONTROL = 0x08, CRB_ID = 0x30, CRB_REQUEST = 0x40, CRB_START = 0x4c, CRB_BUFFER = 0x80 };
enum { ACCESS_REQUEST = 2, ACCESS_ACTIVE = 0x20, STATUS_READY = 0x40, STATUS_GO = 0x20, STATUS_HAS_ANSWER = 0x90,
       ID_KIND = 15, ID_CRB = 1, CRB_GO_READY = 1 };
enum { MESSAGE_MAX = 1024, SPINS_MAX = 20000000, HEADER_LEN = 10 };
#define TPM_BASE 0xfed40000

enum { ST_NO_SESSIONS = 0x8001, ST_SESSIONS = 0x8002, CC_STARTUP = 0x144, CC_PCR_EVENT = 0x13c };
#define RS_PASSWORD 0x40000009U
enum { RC_INITIALIZE = 0x100 };

static volatile uint32_t *reg(unsigned at) { return (volatile uint32_t *) (uintptr_t) (TPM_BASE + at); }
static volatile uint8_t  *byte_reg(unsigned at) { return (volatile uint8_t *) (uintptr_t) (TPM_BASE + at); }

static bool wait_for(unsigned at, uint32_t mask, uint32_t wanted)
{
    for (unsigned i = 0; i < SPINS_MAX; i++)
        if ((*reg(at) & mask) == wanted)
            return true;
    return false;
}

static FALLIBLE tis_send(struct bytes command, struct err *err)
{
    *byte_reg(TIS_STATUS) = STATUS_READY;
    if (!wait_for(TIS_STATUS, STATUS_READY, STATUS_READY))
        return fail_with(err, ERR_TIMEOUT, "it does not get ready");
    for (size_t i = 0; i < command.len; i++) {
        for (unsigned spins = 0; (*reg(TIS_STATUS) >> 8 & 0xffff) == 0; spins++)
            if (spins == SPINS_MAX)
                return fail_with(err, ERR_TIMEOUT, "it does not take a command");
        *byte_reg(TIS_FIFO) = command.at[i];
    }
    *byte_reg(TIS_STATUS) = STATUS_GO;
    if (!wait_for(TIS_STATUS, STATUS_HAS_ANSWER, STATUS_HAS_ANSWER))
        return fail_with(err, ERR_TIMEOUT, "it does not answer");
    return true;
}

static FALLIBLE crb_send(struct bytes command, struct err *err)
{
    *reg(CRB_REQUEST) = CRB_GO_READY;
    if (!wait_for(CRB_REQUEST, CRB_GO_READY, 0))
        return fail_with(err, ERR_TIMEOUT, "it does not get ready");
    for (size_t i = 0; i < command.len; i++)
        byte_reg(CRB_BUFFER)[i] = command.at[i];
    *reg(CRB_START) = 1;
    if (!wait_for(CRB_START, 1, 0))
        return fail_with(err, ERR_TIMEOUT, "it does not answer");
    return true;
}

/* Copies `n` bytes of the answer out of the device, which may change it at any time. */
static void take_answer(const struct machine *m, uint8_t *into, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        into[from + i] = m->tpm == TPM_CRB ? byte_reg(CRB_BUFFER)[from + i] : *byte_reg(TIS_FIFO);
}

/* Sends a command; `answer` becomes the parameters behind the header. `also` is a response code that is fine too. */
static FALLIBLE run(struct machine *m, struct bytes command, uint32_t also, struct reader *answer, struct err *err)
{
    uint8_t *buffer = m->scratch;

    if (!(m->tpm == TPM_CRB ? crb_send(command, err) : tis_send(command, err)))
        return false;
    take_answer(m, buffer, 0, HEADER_LEN);

    struct reader r = reader_over((struct bytes){ buffer, HEADER_LEN });

    take(&r, 2);
    uint32_t len  = take_u32be(&r);
    uint32_t code = take_u32be(&r);

    if (!reader_done(&r, err))
        return false;
    if (len < HEADER_LEN || len > MESSAGE_MAX)
        return fail_with(err, ERR_MALFORMED, "an answer of %u bytes", len);
    if (code != 0 && code != also)
        return fail_with(err, ERR_UNSUPPORTED, "it answers %#x", code);
    take_answer(m, buffer, HEADER_LEN, len - HEADER_LEN);
    *answer = reader_over((struct bytes){ buffer + HEADER_LEN, len - HEADER_LEN });
    return true;
}

static void begin(struct writer *w, uint8_t *into, uint16_t tag, uint32_t command)
{
    *w = writer_over(into, MESSAGE_MAX);
    put_u16be(w, tag);
    put_u32be(w, 0); /* the length, when it is known */
    put_u32be(w, command);
}

static struct bytes end(struct writer *w)
{
    struct writer len = writer_over(w->at + 2, 4);

    put_u32be(&len, (uint32_t) w->len);
    return writer_bytes(w);
}

static FALLIBLE start(struct machine *m, struct err *err)
{
    uint8_t       command[32];
    struct writer w;
    struct reader answer;

    begin(&w, command, ST_NO_SESSIONS, CC_STARTUP);
    put_u16be(&w, 0); /* clear */
    return run(m, end(&w), RC_INITIALIZE, &answer, err);
}

/* TPM2_PCR_Event hashes for every bank itself and says what it extended by. */
static FALLIBLE extend(struct machine *m, unsigned pcr, uint32_t type, struct bytes event, struct err *err)
{
    uint8_t       command[128];
    struct writer w;
    struct reader answer;

    begin(&w, command, ST_SESSIONS, CC_PCR_EVENT);
    put_u32be(&w, pcr);
    put_u32be(&w, 9); /* one session: the empty password */
    put_u32be(&w, RS_PASSWORD);
    put_zeros(&w, 2 + 1 + 2);
    put_u16be(&w, (uint16_t) event.len);
    put(&w, event);
    if (!run(m, end(&w), 0, &answer, err))
        return false;
    take(&answer, 4); /* size of the parameters */
    return boot_log_add(m, pcr, type, event, answer, err);
}

static enum tpm_kind find_tpm(void)
{
    uint32_t id = *reg(TIS_ID), interface = *reg(CRB_ID);

    if (interface != 0xffffffff && (interface & ID_KIND) == ID_CRB)
        return TPM_CRB;
    return id == 0 || id == 0xffffffff ? TPM_NONE : TPM_TIS;
}

FALLIBLE tpm_open(struct machine *m, uint8_t *log, struct err *err)
{
    if (m->kind != STAGE0_PLAIN)
        return true; /* a TPM is the host's there: the launch digest is worth more */
    m->tpm = find_tpm();
    m->log = log;
    if (m->tpm == TPM_CRB)
        *reg(CRB_LOCALITY_CONTROL) = 1;
    if (m->tpm == TPM_TIS) {
        *byte_reg(TIS_ACCESS) = ACCESS_REQUEST;
        if (!wait_for(TIS_ACCESS, ACCESS_ACTIVE, ACCESS_ACTIVE))
            return fail_with(err, ERR_TIMEOUT, "TPM: it does not let us in");
    }
    return m->tpm == TPM_NONE || start(m, err) || context(err, "TPM");
}

FALLIBLE tpm_measure(struct machine *m, enum boot_pcr pcr, const uint8_t digest[static SHA256_DIGEST_LEN],
                     struct err *err)
{
    struct bytes event = { digest, SHA256_DIGEST_LEN };

    return m->tpm == TPM_NONE || extend(m, pcr, BOOT_LOG_EVENT_TAG, event, err) || context(err, "TPM");
}

FALLIBLE tpm_separate(struct machine *m, struct err *err)
{
    static const uint8_t separator[4];

    for (unsigned pcr = 0; pcr < 8 && m->tpm != TPM_NONE; pcr++)
        if (!extend(m, pcr, BOOT_LOG_SEPARATOR, BYTES_OF(separator), err))
            return context(err, "TPM");
    return true;
}
