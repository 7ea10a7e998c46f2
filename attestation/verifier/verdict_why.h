/* Why checks are made, for a person who reads --explain: X(NAME, "what an attacker or an accident gains without it"). */
#pragma once

#define REASONS_WHY(X)                                                                                               \
    X(NOT_CONFIGURED,            "nothing is trusted unless somebody said so")                                        \
    X(INIT_DATA,                 "the workload's configuration is what you wrote only if its digest is here")         \
    X(TPM_AK_UNTRUSTED,          "whoever holds an unknown key can sign any PCR values")                              \
    X(SNP_LENGTH,                "a report has one length and one layout; anything else was not made by the firmware") \
    X(SNP_NOT_SIGNED,            "the host can have reports left unsigned")                                          \
    X(SNP_PRODUCT_UNKNOWN,       "the root key is chosen by the CPU, never by what the certificate says of itself")  \
    X(SNP_ROOT_MISSING,          "trust starts at a key that you chose, not at one that came with the evidence")     \
    X(SNP_ROOT_NOT_PINNED,       "a sender could bring a root of its own")                                           \
    X(SNP_VEK_MISSING,           "the report's signature means nothing without the key that AMD certified")          \
    X(SNP_INTERMEDIATE_MISSING,  "the VEK is not signed by the root itself")                                         \
    X(SNP_CERTIFICATE_MALFORMED, "bytes that two parsers read differently hide what was signed")                     \
    X(SNP_CERTIFICATE_VERSION,   "only version 3 certificates have the extensions that bind chip and firmware")      \
    X(SNP_CERTIFICATE_ALGORITHM, "a weaker signature scheme with the same key would be easier to forge")             \
    X(SNP_CERTIFICATE_ISSUER,    "a certificate of another branch would stand in for the right one")                 \
    X(SNP_CERTIFICATE_SUBJECT,   "a VLEK's issuer must not vouch for a VCEK, nor the reverse")                       \
    X(SNP_CERTIFICATE_KEY,       "AMD's keys have one size; another one is not AMD's")                               \
    X(SNP_CERTIFICATE_USE,       "a chip's key must not be able to certify further keys")                            \
    X(SNP_CERTIFICATE_EXTENSION, "a critical extension may forbid the very use that is made of the certificate")     \
    X(SNP_CERTIFICATE_SIGNATURE, "without it anybody could have written the certificate")                            \
    X(SNP_CERTIFICATE_NOT_YET,   "a certificate vouches for its key in its time only")                               \
    X(SNP_CERTIFICATE_EXPIRED,   "a certificate vouches for its key in its time only")                               \
    X(SNP_VEK_FIELD,             "a missing patch level must not count as zero, and chip and cloud must not mix")    \
    X(SNP_CRL_MISSING,           "without a list a withdrawn intermediate is still believed")                        \
    X(SNP_CRL_MALFORMED,         "a list that cannot be read revokes nothing")                                       \
    X(SNP_CRL_ISSUER,            "a list of another root says nothing about this chain")                             \
    X(SNP_CRL_ALGORITHM,         "a weaker signature scheme would be easier to forge")                               \
    X(SNP_CRL_SIGNATURE,         "whoever hides a revocation would write an empty list")                             \
    X(SNP_CRL_EXTENSION,         "a critical extension may change what the list means")                              \
    X(SNP_CRL_NOT_YET,           "a list from the future is a wrong clock or a forgery")                             \
    X(SNP_CRL_EXPIRED,           "an old list does not know what was revoked since")                                 \
    X(SNP_CRL_ROLLED_BACK,       "an older list was put in place of one already seen")                               \
    X(SNP_REVOKED,               "AMD has withdrawn this certificate")                                               \
    X(SNP_SIGNER_MISMATCH,       "a cloud's key must not pass for a chip's")                                         \
    X(SNP_SIGNATURE_RANGE,       "numbers outside the group are no signature")                                       \
    X(SNP_SIGNATURE,             "this is what makes the report the firmware's word")                                \
    X(SNP_TCB_BINDING,           "an attacker with the key of old, broken firmware claims a new patch level")        \
    X(SNP_CHIP_BINDING,          "a report of one chip must not stand on the certificate of another")                \
    X(SNP_CHIP_MASKED,           "the host can hide which chip it is")                                               \
    X(SNP_PRODUCT_BINDING,       "a product whose keys leaked must not vouch for another")                           \
    X(SNP_VERSION_REFUSED,       "old versions lack the CPU model and the memory alias check")                        \
    X(SNP_PRODUCT_REFUSED,       "Milan's root seed can be extracted in software: any of its reports can be forged")  \
    X(SNP_SIGNER_REFUSED,        "a VLEK tells the cloud provider, but not which machine")                           \
    X(SNP_CSP_REFUSED,           "any provider of AMD's could have signed")                                          \
    X(SNP_CHIP_REFUSED,          "any genuine chip is not one of yours")                                             \
    X(SNP_DEBUG,                 "the host can read and write the memory of a debuggable guest")                     \
    X(SNP_MIGRATABLE,            "a migration agent can take the guest's state elsewhere")                           \
    X(SNP_GUEST_POLICY_GRANTS,   "the host chose the guest's policy, and granted itself something")                  \
    X(SNP_GUEST_POLICY_DEMANDS,  "the host chose the guest's policy, and left out a protection")                     \
    X(SNP_GUEST_ABI,             "older firmware interfaces lack protections")                                       \
    X(SNP_POLICY_CONTRADICTED,   "real firmware would have refused this launch")                                     \
    X(SNP_VMPL,                  "at a lower privilege somebody else's code runs above the guest")                   \
    X(SNP_MEASUREMENT,           "this is which firmware, kernel and initrd were started")                           \
    X(SNP_REPORT_DATA,           "without it the report may be old, or of another connection")                       \
    X(SNP_HOST_DATA,             "the workload's configuration is what you wrote only if its digest is here")        \
    X(SNP_ID_KEY,                "who signed the identity of this guest")                                            \
    X(SNP_AUTHOR_KEY,            "who vouched for the key that signed")                                              \
    X(SNP_AUTHOR_KEY_FLAG,       "real firmware sets both or neither")                                               \
    X(SNP_FAMILY_ID,             "which family of images the signer named")                                          \
    X(SNP_IMAGE_ID,              "which image the signer named")                                                     \
    X(SNP_GUEST_SVN,             "an older, signed image with known flaws could be started again")                   \
    X(SNP_TCB_ORDER,             "no real firmware reports this order")                                              \
    X(SNP_PROVISIONAL,           "the firmware can be rolled back under the running guest")                          \
    X(SNP_TCB_LOW,               "known flaws of old firmware and microcode are open")                               \
    X(SNP_LAUNCH_TCB_LOW,        "a guest that began under flawed firmware stays tainted after an update")           \
    X(SNP_FIRMWARE_LOW,          "older firmware lacks protections")                                                 \
    X(SNP_PLATFORM_REQUIRED,     "the alias check keeps doctored memory modules from replaying guest memory")        \
    X(SNP_PLATFORM_REFUSED,      "a platform feature that you do not accept is on")                                  \
    X(SNP_MITIGATIONS,           "a mitigation of a published flaw was not active, at launch or now")
