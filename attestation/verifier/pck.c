#include "attestation/verifier/pck.h"

#include <string.h>

#include "attestation/verifier/der.h"

/* 1.2.840.113741.1.13.1 */
static const uint8_t sgx_arc[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01 };

enum entry { ENTRY_PPID = 1, ENTRY_TCB, ENTRY_PCEID, ENTRY_FMSPC, ENTRY_SGX_TYPE, ENTRY_INSTANCE, ENTRY_CONFIGURATION };
enum { TCB_PCESVN = 17, TCB_CPUSVN = 18, SGX_TYPE_MAX = 2 };
enum { ALL_OF_PROCESSOR_CA = 0x3e, ALL_OF_PLATFORM_CA = 0xfe, ALL_OF_TCB = 0x7fffe }; /* one bit per entry */

/*
 * The number behind `arc` in the next entry's OID; an OID elsewhere, an entry seen before or a number over `most`
 * fails the reader.
 */
static unsigned take_entry_number(struct reader *r, struct bytes arc, unsigned most, uint32_t *seen)
{
    struct bytes oid    = take_der(r, DER_OID);
    unsigned     number = oid.len == arc.len + 1 ? oid.at[arc.len] : 0;

    if (number == 0 || number > most || !bytes_equal((struct bytes){ oid.at, arc.len }, arc) || (*seen >> number & 1)) {
        r->failed = true;
        return 0;
    }
    *seen |= 1U << number;
    return number;
}

static void take_octets(struct reader *r, uint8_t *out, size_t len)
{
    struct bytes octets = take_der(r, DER_OCTET_STRING);

    if (octets.len != len)
        r->failed = true;
    else
        memcpy(out, octets.at, len);
}

static FALLIBLE tcb_read(struct reader list, struct pck_extension *e, struct err *err)
{
    uint8_t  arc[sizeof sgx_arc + 1];
    uint32_t seen = 0;

    memcpy(arc, sgx_arc, sizeof sgx_arc);
    arc[sizeof sgx_arc] = ENTRY_TCB;
    while (!list.failed && list.left.len > 0) {
        struct reader one    = take_der_reader(&list, DER_SEQUENCE);
        unsigned      number = take_entry_number(&one, BYTES_OF(arc), TCB_CPUSVN, &seen);

        if (number >= 1 && number <= PCK_COMPONENTS)
            e->components[number - 1] = (uint8_t) take_der_u64(&one, DER_INTEGER, UINT8_MAX);
        else if (number == TCB_PCESVN)
            e->pcesvn = (uint16_t) take_der_u64(&one, DER_INTEGER, UINT16_MAX);
        else
            take_octets(&one, e->cpusvn, sizeof e->cpusvn);
        if (!reader_done(&one, err))
            return context(err, "TCB entry");
    }
    if (!reader_done(&list, err))
        return context(err, "TCB entries");
    return seen == ALL_OF_TCB || fail_with(err, ERR_MALFORMED, "TCB entries missing: %#x", ALL_OF_TCB & ~seen);
}

static FALLIBLE configuration_read(struct reader list, struct pck_extension *e, struct err *err)
{
    enum pck_flag *const flags[] = { &e->dynamic_platform, &e->cached_keys, &e->smt_enabled };
    uint8_t              arc[sizeof sgx_arc + 1];
    uint32_t             seen = 0;

    memcpy(arc, sgx_arc, sizeof sgx_arc);
    arc[sizeof sgx_arc] = ENTRY_CONFIGURATION;
    while (!list.failed && list.left.len > 0) {
        struct reader one    = take_der_reader(&list, DER_SEQUENCE);
        unsigned      number = take_entry_number(&one, BYTES_OF(arc), 3, &seen);
        bool          value  = take_der_bool(&one);

        if (!reader_done(&one, err))
            return context(err, "configuration entry");
        *flags[number - 1] = value ? PCK_FLAG_TRUE : PCK_FLAG_FALSE;
    }
    return reader_done(&list, err) || context(err, "configuration entries");
}

/* The value of entry `number`, `one` standing before it. */
static FALLIBLE entry_read(struct reader *one, enum entry number, struct pck_extension *e, struct err *err)
{
    switch (number) {
    case ENTRY_PPID:
        take_octets(one, e->ppid, sizeof e->ppid);
        break;
    case ENTRY_TCB:
        if (!tcb_read(take_der_reader(one, DER_SEQUENCE), e, err))
            return false;
        break;
    case ENTRY_PCEID:
        take_octets(one, e->pceid, sizeof e->pceid);
        break;
    case ENTRY_FMSPC:
        take_octets(one, e->fmspc, sizeof e->fmspc);
        break;
    case ENTRY_SGX_TYPE:
        e->sgx_type = (uint8_t) take_der_u64(one, DER_ENUMERATED, SGX_TYPE_MAX);
        break;
    case ENTRY_INSTANCE:
        take_octets(one, e->instance, sizeof e->instance);
        e->has_instance = true;
        break;
    case ENTRY_CONFIGURATION:
        if (!configuration_read(take_der_reader(one, DER_SEQUENCE), e, err))
            return false;
        break;
    }
    return reader_done(one, err) || contextf(err, "entry %d", (int) number);
}

FALLIBLE pck_extension_read(struct bytes value, struct pck_extension *out, struct err *err)
{
    struct pck_extension e     = { 0 };
    struct reader        outer = reader_over(value);
    struct reader        list  = take_der_reader(&outer, DER_SEQUENCE);
    uint32_t             seen  = 0;

    while (!list.failed && list.left.len > 0) {
        struct reader one    = take_der_reader(&list, DER_SEQUENCE);
        unsigned      number = take_entry_number(&one, BYTES_OF(sgx_arc), ENTRY_CONFIGURATION, &seen);

        if (number == 0)
            return fail_with(err, ERR_MALFORMED, "SGX extension: unknown or repeated entry");
        if (!entry_read(&one, (enum entry) number, &e, err))
            return context(err, "SGX extension");
    }
    if (!reader_done(&list, err) || !reader_done(&outer, err))
        return context(err, "SGX extension");
    if (seen != ALL_OF_PROCESSOR_CA && seen != ALL_OF_PLATFORM_CA)
        return fail_with(err, ERR_MALFORMED, "SGX extension: entries %#x; all of %#x or %#x are wanted", seen,
                         ALL_OF_PROCESSOR_CA, ALL_OF_PLATFORM_CA);
    *out = e;
    return true;
}
