/* A certificate for 127.0.0.1 and localhost that is its own CA, and its key: for doubles of servers. */
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/bytes.h"
#include "base/ossl.h"
#include "tests/harness/test.h"

static inline void test_certificate_make(struct buffer *certificate_pem, struct buffer *key_pem)
{
    AUTO(pkey) EVP_PKEY *key     = EVP_EC_gen("P-256");
    AUTO(x509) X509     *x509    = X509_new();
    AUTO(bio) BIO       *first   = BIO_new(BIO_s_mem());
    AUTO(bio) BIO       *second  = BIO_new(BIO_s_mem());
    X509_NAME           *name    = X509_get_subject_name(x509);
    X509_EXTENSION      *address = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
    char                *at;
    long                 len;

    assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x509), 1), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "double", -1, -1, 0), 1);
    assert_int_equal(X509_set_issuer_name(x509, name), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x509), -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x509), 86400));
    assert_int_equal(X509_set_pubkey(x509, key), 1);
    assert_non_null(address);
    assert_int_equal(X509_add_ext(x509, address, -1), 1);
    X509_EXTENSION_free(address);
    assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(first, x509), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(second, key, NULL, NULL, 0, NULL, NULL), 1);
    len = BIO_get_mem_data(first, &at);
    buffer_append(certificate_pem, (struct bytes){ (const uint8_t *) at, (size_t) len });
    len = BIO_get_mem_data(second, &at);
    buffer_append(key_pem, (struct bytes){ (const uint8_t *) at, (size_t) len });
}
