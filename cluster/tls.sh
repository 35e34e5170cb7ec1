#!/usr/bin/env bash
# Certificates for a Ray cluster whose network is not yours alone:
#   bash cluster/tls.sh secrets/tls 10.0.0.1 10.0.0.2 worker-3.example.org
# Every address by which a machine is reached is named; called again with more, it adds those. Each
# machine gets ca.crt and its own NAME.crt and NAME.key, and sets before `ray start` and before a launch:
#   export RAY_USE_TLS=1 RAY_TLS_CA_CERT=.../ca.crt
#   export RAY_TLS_SERVER_CERT=.../NAME.crt RAY_TLS_SERVER_KEY=.../NAME.key
# ca.key signs machines: keep it away from all of them. DAYS=90 sets how long certificates hold.
set -euo pipefail
umask 077

if [ "$#" -lt 2 ]; then
    echo "usage: bash cluster/tls.sh FOLDER ADDRESS..." >&2
    exit 2
fi
folder=$1
shift
days=${DAYS:-365}
mkdir -p "$folder"

if [ ! -e "$folder/ca.key" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days "$days" \
        -subj "/CN=spksearch cluster" -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout "$folder/ca.key" -out "$folder/ca.crt" 2>/dev/null
fi

for address in "$@"; do
    case $address in
        *[!0-9A-Za-z.:-]* | "") echo "no address: '$address'" >&2; exit 2 ;;
        *[!0-9.]*:* | *::*) kind=IP ;;
        *[!0-9.]*) kind=DNS ;;
        *) kind=IP ;;
    esac
    name="$folder/${address//:/_}"
    if [ -e "$name.crt" ]; then
        echo "$name.crt is there already"
        continue
    fi
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -subj "/CN=ray" \
        -keyout "$name.key" -out "$name.csr" 2>/dev/null
    # Ray shows the same certificate as server and as client, and reaches itself by loopback too.
    openssl x509 -req -in "$name.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -sha256 \
        -days "$days" -set_serial "0x$(openssl rand -hex 16)" -out "$name.crt" 2>/dev/null \
        -extfile <(printf '%s\n' \
            "subjectAltName=$kind:$address,DNS:localhost,IP:127.0.0.1" \
            "extendedKeyUsage=serverAuth,clientAuth" "basicConstraints=critical,CA:FALSE")
    rm "$name.csr"
    echo "$name.crt $name.key"
done
