/*
 * DER through the cursor of base/bytes.h: one element at a time, minimal lengths only, nothing copied. OpenSSL's
 * X509 reader costs two signature verifications per certificate and accepts more than DER, so the narrow
 * profile of Intel's certificates is read with this instead. [X.690 8.1, 10.1]
 */
#pragma once

#include "base/bytes.h"

enum der_tag {
    DER_BOOLEAN = 0x01, DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_OCTET_STRING = 0x04, DER_OID = 0x06,
    DER_ENUMERATED = 0x0a, DER_UTF8 = 0x0c, DER_PRINTABLE = 0x13, DER_UTC_TIME = 0x17, DER_TIME = 0x18,
    DER_SEQUENCE = 0x30, DER_SET = 0x31, DER_CONTEXT_0 = 0xa0, DER_CONTEXT_3 = 0xa3,
};

/* All fail the reader when the next element is of another type, is not minimal or does not fit. */
struct bytes  take_der(struct reader *r, enum der_tag tag);       /* the content */
struct reader take_der_reader(struct reader *r, enum der_tag tag);
struct bytes  take_der_whole(struct reader *r, enum der_tag tag); /* with its tag and length */
struct bytes  take_der_any(struct reader *r, uint8_t *tag);
uint64_t      take_der_u64(struct reader *r, enum der_tag tag, uint64_t most); /* INTEGER or ENUMERATED, not negative */
struct bytes  take_der_unsigned(struct reader *r); /* an INTEGER that is not negative, without its sign's zero byte */
bool          take_der_bool(struct reader *r);
struct bytes  take_der_bits(struct reader *r); /* a BIT STRING of whole bytes */

bool der_next_is(const struct reader *r, enum der_tag tag);

/* UTCTime or GeneralizedTime in the one form that certificates may use; seconds since 1970. [RFC 5280 4.1.2.5] */
int64_t take_der_time(struct reader *r);
