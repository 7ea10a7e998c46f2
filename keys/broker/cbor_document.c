#include "keys/broker/cbor_document.h"

#include "base/text.h"

enum { UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE }; /* major types [RFC 8949 3.1] */
enum { ONE_BYTE = 24, EIGHT_BYTES = 27, INDEFINITE = 31, FALSE = 20, NIL = 22 };

static uint64_t argument_take(struct reader *r, unsigned short_form)
{
    switch (short_form) {
    case ONE_BYTE:     return take_u8(r);
    case ONE_BYTE + 1: return take_u16be(r);
    case ONE_BYTE + 2: return take_u32be(r);
    case EIGHT_BYTES:  return take_u64be(r);
    default:           return short_form;
    }
}

/* One item and what is in it: libcbor allocates by the counts that it reads, so they are compared with the bytes first. */
static FALLIBLE item_check(struct reader *r, unsigned depth, struct err *err)
{
    uint8_t  head     = take_u8(r);
    unsigned major    = head >> 5;
    uint64_t argument = argument_take(r, head & 31);
    uint64_t n        = major == MAP ? 2 : 1;

    if (!reader_ok(r, err))
        return context(err, "CBOR");
    if (depth == 0)
        return fail_with(err, ERR_LIMIT, "CBOR: nested deeper than %d", CBOR_DEPTH_MAX);
    if ((head & 31) > EIGHT_BYTES)
        return fail_with(err, (head & 31) == INDEFINITE ? ERR_UNSUPPORTED : ERR_MALFORMED, "CBOR: a head of %#x at %zu", head,
                         r->offset);
    if (major == SIMPLE)
        return ((head & 31) >= FALSE && (head & 31) <= NIL) ||
               fail_with(err, ERR_UNSUPPORTED, "CBOR: a float or simple value at %zu", r->offset);
    if (major == UNSIGNED || major == NEGATIVE)
        return true;
    if (major != TAG && argument > r->left.len / (major == BYTES || major == TEXT ? 1 : n))
        return fail_with(err, ERR_MALFORMED, "CBOR: more is announced at %zu than there is", r->offset);
    if (major == BYTES || major == TEXT) {
        struct bytes content = take(r, (size_t) argument);

        return major == BYTES || is_utf8(content) || fail_with(err, ERR_MALFORMED, "CBOR: a text that is not UTF-8");
    }
    for (uint64_t i = 0; i < (major == TAG ? 1 : n * argument); i++) {
        if (!item_check(r, depth - 1, err))
            return false;
    }
    return true;
}

FALLIBLE cbor_document_read(struct bytes text, size_t len_max, cbor_item_t **out, struct err *err)
{
    struct reader           r = reader_over(text);
    struct cbor_load_result result;

    if (text.len > len_max)
        return fail_with(err, ERR_LIMIT, "CBOR of %zu bytes; at most %zu", text.len, len_max);
    if (!item_check(&r, CBOR_DEPTH_MAX, err))
        return false;
    if (!reader_done(&r, err))
        return context(err, "CBOR");
    *out = cbor_load(text.at, text.len, &result);
    if (!*out || result.error.code != CBOR_ERR_NONE || result.read != text.len) {
        if (*out)
            cbor_decref(out);
        return fail_with(err, ERR_MALFORMED, "CBOR: not well formed at %zu", result.error.position);
    }
    return true;
}

/* libcbor's accessors count a reference; what is asked for here lives as long as its document. */
static cbor_item_t *borrowed(cbor_item_t *counted)
{
    if (counted)
        counted->refcount--;
    return counted;
}

cbor_item_t *cbor_untagged(cbor_item_t *item, uint64_t tag)
{
    return item && cbor_isa_tag(item) && cbor_tag_value(item) == tag ? borrowed(cbor_tag_item(item)) : NULL;
}

bool cbor_number(const cbor_item_t *item, int64_t *out)
{
    if (!item || !cbor_is_int(item) || cbor_get_int(item) > INT64_MAX)
        return false;
    *out = cbor_isa_negint(item) ? -1 - (int64_t) cbor_get_int(item) : (int64_t) cbor_get_int(item);
    return true;
}

cbor_item_t *cbor_value(const cbor_item_t *map, int64_t key)
{
    cbor_item_t *found = NULL;
    int64_t      number;

    for (size_t i = 0; map && cbor_isa_map(map) && i < cbor_map_size(map); i++) {
        struct cbor_pair pair = cbor_map_handle(map)[i];

        if (!cbor_number(pair.key, &number) || number != key)
            continue;
        if (found)
            return NULL;
        found = pair.value;
    }
    return found;
}

size_t cbor_length(const cbor_item_t *item)
{
    return !item ? 0 : cbor_isa_array(item) ? cbor_array_size(item) : cbor_isa_map(item) ? cbor_map_size(item) : 0;
}

cbor_item_t *cbor_element(const cbor_item_t *array, size_t i)
{
    return array && cbor_isa_array(array) && i < cbor_array_size(array) ? cbor_array_handle(array)[i] : NULL;
}

bool cbor_bytes(const cbor_item_t *item, struct bytes *out)
{
    if (!item || !cbor_isa_bytestring(item))
        return false;
    *out = (struct bytes){ cbor_bytestring_handle(item), cbor_bytestring_length(item) };
    return true;
}

bool cbor_text(const cbor_item_t *item, struct bytes *out)
{
    if (!item || !cbor_isa_string(item))
        return false;
    *out = (struct bytes){ cbor_string_handle(item), cbor_string_length(item) };
    return true;
}
