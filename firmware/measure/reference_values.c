#include "firmware/measure/reference_values.h"

#include <assert.h>
#include <cbor.h>

#include "base/json.h"
#include "base/ossl.h"
#include "base/text.h"

void reference_values_rvps(const struct reference_values *values, struct buffer *out)
{
    AUTO(json) struct json_object *payload = json_object_new_object(), *message = json_object_new_object();
    AUTO(buffer) struct buffer     text = { 0 }, base64 = { 0 };

    for (size_t i = 0; i < values->n; i++) {
        struct json_object *list = json_object_new_array();

        for (size_t j = 0; j < values->at[i].n_digests; j++) {
            AUTO(buffer) struct buffer hex = { 0 };

            hex_append(&hex, (struct bytes){ values->at[i].digests[j], REFERENCE_DIGEST_LEN });
            (void) json_object_array_add(list, json_object_new_string(buffer_text(&hex))); /* fails without memory */
        }
        json_add(payload, values->at[i].rvps_name, list);
    }
    json_write(payload, &text);
    base64_append(&base64, buffer_bytes(&text), BASE64_STANDARD);
    json_add_text(message, "version", "0.1.0");
    json_add_text(message, "type", "sample");
    json_add_text(message, "payload", buffer_text(&base64));
    json_write(message, out);
    buffer_append_text(out, "\n");
}

/* CoRIM's map keys and constants. */
enum { TAG_CORIM = 501, TAG_COMID = 506, TAG_UUID = 37, ALG_SHA384 = 7 };
enum { CORIM_ID = 0, CORIM_TAGS = 1, COMID_TAG_IDENTITY = 1, COMID_TRIPLES = 4, TRIPLES_REFERENCE = 0 };
enum { CLASS = 0, CLASS_VENDOR = 1, CLASS_MODEL = 2, MEASUREMENT_VALUES = 1, VALUES_REGISTERS = 14 };
enum { NESTED_MAX = 1 << 20, UUID_LEN = 16 };

DEFINE_AUTO(cbor, cbor_item_t *, cbor_intermediate_decref)

/* libcbor answers false only without memory or over a size that was given wrongly. */
static void must(bool done) { if (!done) abort(); }

static void add(cbor_item_t *map, unsigned key, cbor_item_t *value_take)
{
    must(cbor_map_add(map, (struct cbor_pair){ cbor_move(cbor_build_uint16((uint16_t) key)), cbor_move(value_take) }));
}

static cbor_item_t *map_of_one(unsigned key, cbor_item_t *value_take)
{
    cbor_item_t *map = cbor_new_definite_map(1);

    add(map, key, value_take);
    return map;
}

static cbor_item_t *array_of_one(cbor_item_t *value_take)
{
    cbor_item_t *array = cbor_new_definite_array(1);

    must(cbor_array_push(array, cbor_move(value_take)));
    return array;
}

static cbor_item_t *array_of_two(cbor_item_t *first_take, cbor_item_t *second_take)
{
    cbor_item_t *array = cbor_new_definite_array(2);

    must(cbor_array_push(array, cbor_move(first_take)) && cbor_array_push(array, cbor_move(second_take)));
    return array;
}

/* [environment, [{values: {registers: {name: [[SHA-384, digest]]}}}]] */
static cbor_item_t *triple(const struct reference_values *values, const struct reference_value *value, size_t i)
{
    cbor_item_t *class     = cbor_new_definite_map(2);
    cbor_item_t *registers = cbor_new_definite_map(1);
    cbor_item_t *digest    = array_of_two(cbor_build_uint8(ALG_SHA384),
                                          cbor_build_bytestring(value->digests[i], REFERENCE_DIGEST_LEN));

    add(class, CLASS_VENDOR, cbor_build_string(values->vendor));
    add(class, CLASS_MODEL, cbor_build_string(values->model));
    must(cbor_map_add(registers, (struct cbor_pair){ cbor_move(cbor_build_string(value->register_name)),
                                                     cbor_move(array_of_one(digest)) }));
    return array_of_two(map_of_one(CLASS, class),
                        array_of_one(map_of_one(MEASUREMENT_VALUES, map_of_one(VALUES_REGISTERS, registers))));
}

static cbor_item_t *triples(const struct reference_values *values)
{
    size_t n = 0;

    for (size_t i = 0; i < values->n; i++)
        n += values->at[i].n_digests;

    cbor_item_t *array = cbor_new_definite_array(n);

    for (size_t i = 0; i < values->n; i++)
        for (size_t j = 0; j < values->at[i].n_digests; j++)
            must(cbor_array_push(array, cbor_move(triple(values, &values->at[i], j))));
    return array;
}

/* A name-based UUID (version 8, RFC 9562) from the digests. */
static void make_uuid(const struct reference_values *values, uint8_t uuid[static UUID_LEN])
{
    AUTO(buffer) struct buffer all = { 0 };
    uint8_t                    digest[SHA256_LEN];

    for (size_t i = 0; i < values->n; i++) {
        buffer_append_text(&all, values->at[i].register_name);
        buffer_append(&all, (struct bytes){ (const uint8_t *) values->at[i].digests,
                                            values->at[i].n_digests * REFERENCE_DIGEST_LEN });
    }
    sha256_of(buffer_bytes(&all), digest);
    memcpy(uuid, digest, UUID_LEN);
    uuid[6] = (uint8_t) ((uuid[6] & 0x0f) | 0x80);
    uuid[8] = (uint8_t) ((uuid[8] & 0x3f) | 0x80);
}

static cbor_item_t *uuid_item(const uint8_t uuid[static UUID_LEN])
{
    return cbor_build_tag(TAG_UUID, cbor_move(cbor_build_bytestring(uuid, UUID_LEN)));
}

static FALLIBLE append_item(cbor_item_t *item, struct buffer *out, struct err *err)
{
    unsigned char *bytes = NULL;
    size_t         room  = 0, len = cbor_serialize_alloc(item, &bytes, &room);

    if (len == 0 || len > NESTED_MAX) {
        free(bytes);
        return fail_with(err, ERR_LIMIT, "CoRIM: over %d bytes", NESTED_MAX);
    }
    buffer_append(out, (struct bytes){ bytes, len });
    free(bytes);
    return true;
}

FALLIBLE reference_values_corim(const struct reference_values *values, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer inner = { 0 };
    AUTO(cbor) cbor_item_t    *comid = cbor_new_definite_map(2);
    AUTO(cbor) cbor_item_t    *corim = NULL;
    uint8_t                    uuid[UUID_LEN];

    make_uuid(values, uuid);
    add(comid, COMID_TAG_IDENTITY, map_of_one(0, uuid_item(uuid)));
    add(comid, COMID_TRIPLES, map_of_one(TRIPLES_REFERENCE, triples(values)));
    if (!append_item(comid, &inner, err))
        return false;

    cbor_item_t *body = cbor_new_definite_map(2);

    add(body, CORIM_ID, uuid_item(uuid));
    add(body, CORIM_TAGS, array_of_one(cbor_build_tag(TAG_COMID, cbor_move(cbor_build_bytestring(inner.at, inner.len)))));
    corim = cbor_build_tag(TAG_CORIM, cbor_move(body));
    return append_item(corim, out, err);
}
