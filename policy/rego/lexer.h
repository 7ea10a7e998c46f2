/* Bytes of a module to tokens. [OPA scanner] */
#pragma once

#include "policy/rego/front.h"

/* Text as messages show it. Words from `as` on are keywords; the last four only when enabled. */
#define TOKENS(X)                                                                            \
    X(TOKEN_ILLEGAL, "illegal") X(TOKEN_EOF, "eof") X(TOKEN_IDENT, "identifier")             \
    X(TOKEN_NUMBER, "number") X(TOKEN_STRING, "string") X(TOKEN_RAW_STRING, "string")        \
    X(TOKEN_TEMPLATE_PART, "template-string-part") X(TOKEN_TEMPLATE_END, "template-string-end") \
    X(TOKEN_LBRACKET, "[") X(TOKEN_RBRACKET, "]") X(TOKEN_LBRACE, "{") X(TOKEN_RBRACE, "}")  \
    X(TOKEN_LPAREN, "(") X(TOKEN_RPAREN, ")") X(TOKEN_COMMA, ",") X(TOKEN_COLON, ":")        \
    X(TOKEN_ADD, "plus") X(TOKEN_SUB, "minus") X(TOKEN_MUL, "mul") X(TOKEN_QUO, "div")       \
    X(TOKEN_REM, "rem") X(TOKEN_AND, "and") X(TOKEN_OR, "or") X(TOKEN_UNIFY, "eq")           \
    X(TOKEN_EQUAL, "equal") X(TOKEN_ASSIGN, "assign") X(TOKEN_NEQ, "neq") X(TOKEN_GT, "gt")  \
    X(TOKEN_LT, "lt") X(TOKEN_GTE, "gte") X(TOKEN_LTE, "lte") X(TOKEN_DOT, ".")              \
    X(TOKEN_SEMICOLON, ";")                                                                  \
    X(TOKEN_AS, "as") X(TOKEN_DEFAULT, "default") X(TOKEN_ELSE, "else")                      \
    X(TOKEN_FALSE, "false") X(TOKEN_IMPORT, "import") X(TOKEN_NULL, "null")                  \
    X(TOKEN_NOT, "not") X(TOKEN_PACKAGE, "package") X(TOKEN_SOME, "some")                    \
    X(TOKEN_TRUE, "true") X(TOKEN_WITH, "with")                                              \
    X(TOKEN_CONTAINS, "contains") X(TOKEN_EVERY, "every") X(TOKEN_IF, "if") X(TOKEN_IN, "in")
#define TOKEN_ENUM(name, text) name,
enum token_kind { TOKENS(TOKEN_ENUM) TOKEN_KINDS };
#undef TOKEN_ENUM

const char *token_text(enum token_kind kind);

struct token {
    enum token_kind kind;
    bool            space_before;   /* white space or a comment stands in front */
    bool            newline_before; /* ... and a line end in it */
    bool            raw;            /* template pieces: of a back-quoted template */
    struct location at;
    const char     *text;           /* as written; strings with their quotes */
    uint32_t        len;
};

/* Small and plain, so that stepping back is a struct copy. */
struct lexer {
    const char *text;
    uint32_t    len;
    uint32_t    pos;
    uint32_t    row;
    uint32_t    col;
    uint32_t    file;
    uint32_t    keywords; /* bit per TOKEN_CONTAINS .. TOKEN_IN: enabled */
    uint32_t    end;      /* of the token before the newest */
};

#define KEYWORD_BIT(kind) (1u << ((unsigned) (kind) - TOKEN_CONTAINS))
enum { KEYWORDS_ALL = 15 };

struct lexer lexer_over(struct bytes text, uint32_t file);

/* The next token. A bad one is TOKEN_ILLEGAL after an error was noted. */
struct token lexer_next(struct front *f, struct lexer *l);
/* In a template, behind the } that ends an expression: the next piece. */
struct token lexer_template(struct front *f, struct lexer *l, bool raw);
bool         lexer_is_keyword(const struct lexer *l, enum token_kind kind);

/* The value of a string token, or of a template piece (without its quotes or braces). NULL after an error. */
struct name *token_string(struct front *f, const struct token *t);
