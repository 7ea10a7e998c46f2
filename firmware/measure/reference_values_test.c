#include "firmware/measure/reference_values.h"

#include <cbor.h>

#include "base/json.h"
#include "base/text.h"
#include "tests/harness/test.h"

static const uint8_t digests[2][REFERENCE_DIGEST_LEN] = { { 1, 2, 3 }, { 4, 5, 6 } };
static const struct reference_values values = {
    .vendor = "AMD", .model = "SEV-SNP", .n = 1,
    .at = { { "snp_launch_measurement", "measurement", digests, 2 } } };

static void rvps_payload_lists_every_digest(void **state)
{
    AUTO(buffer) struct buffer     out = { 0 }, payload = { 0 };
    AUTO(json) struct json_object *message = NULL, *inner = NULL;
    struct json_object            *list  = NULL;
    const char                    *text = NULL;
    struct err                     err;

    (void) state;
    reference_values_rvps(&values, &out);
    assert_true(json_read(buffer_bytes(&out), 1 << 16, &message, &err));
    assert_true(json_get_text(message, "payload", &text, &err));
    assert_true(base64_read(bytes_of_text(text), BASE64_STANDARD, &payload, &err));
    assert_true(json_read(buffer_bytes(&payload), 1 << 16, &inner, &err));
    assert_true(json_get(inner, "snp_launch_measurement", json_type_array, &list, &err));
    assert_int_equal(json_object_array_length(list), 2);
    assert_memory_equal(json_object_get_string(json_object_array_get_idx(list, 1)), "040506000000", 12);
}

static void corim_is_one_tagged_item_and_repeats_itself(void **state)
{
    AUTO(buffer) struct buffer once = { 0 }, again = { 0 };
    struct cbor_load_result    result;
    struct err                 err;

    (void) state;
    assert_true(reference_values_corim(&values, &once, &err));
    assert_true(reference_values_corim(&values, &again, &err));
    assert_true(bytes_equal(buffer_bytes(&once), buffer_bytes(&again)));
    assert_memory_equal(once.at, "\xd9\x01\xf5\xa2", 4); /* tag 501, map of two */

    cbor_item_t *item = cbor_load(once.at, once.len, &result);

    assert_non_null(item);
    assert_int_equal(result.read, once.len);
    assert_int_equal(cbor_tag_value(item), 501);
    cbor_decref(&item);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rvps_payload_lists_every_digest),
        cmocka_unit_test(corim_is_one_tagged_item_and_repeats_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
