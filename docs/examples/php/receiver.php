<?php
// Takes webhooks, verifies them and stores each once, as a file in the folder INBOX
// (which has to be there). It needs no library; the one of the Standard Webhooks project
// does what verify does here. Try it with
//
//     WEBHOOK_SECRET=whsec_… INBOX=inbox php -S 127.0.0.1:9081 receiver.php
//
// and run it as any page in production. Without a secret it answers 503 to everything.
declare(strict_types=1);

/** Tells whether a webhook was signed with a secret, whsec_…, less than five minutes ago. */
function verify(string $secret, string $id, string $timestamp, string $signatures, string $body): bool
{
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    if ($key === false || strlen($key) < 24) { // with an empty key anybody can sign
        throw new RuntimeException('WEBHOOK_SECRET must be the secret of the subscription, whsec_…');
    }
    if ($id === '' || !ctype_digit($timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $signatures) as $signature) { // several while a secret is being changed
        if (hash_equals($expected, $signature)) { // compares in constant time
            return true;
        }
    }
    return false;
}

/**
 * Keeps a webhook under its id: one that comes twice is there once. Instead of files,
 * take a table whose key is the id.
 */
function store(string $inbox, string $id, string $body): void
{
    if (!preg_match('/^[A-Za-z0-9_-]{1,100}$/D', $id)) {
        throw new RuntimeException('the id is not a file name');
    }
    $temporary = $inbox . '/.new-' . bin2hex(random_bytes(16));
    $file = fopen($temporary, 'xb');
    if (!$file || fwrite($file, $body) !== strlen($body) || !fsync($file) || !fclose($file)
        || !rename($temporary, "$inbox/$id.json")) {
        throw new RuntimeException('the inbox cannot be written');
    }
}

try {
    // The bytes as they came: JSON that was decoded and encoded again has another signature.
    $body = file_get_contents('php://input');
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $signatures = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '';
    if (!verify(getenv('WEBHOOK_SECRET') ?: '', $id, $timestamp, $signatures, $body)) {
        http_response_code(401);
        return;
    }
    // 2xx only once it is stored: pollbridge then forgets it.
    store(getenv('INBOX') ?: '.', $id, $body);
    http_response_code(204);
    // The work itself is done by somebody else, who reads the inbox.
} catch (Throwable $error) {
    error_log($error->getMessage());
    http_response_code(503); // it will be sent again
}
