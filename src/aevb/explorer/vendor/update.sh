#!/usr/bin/env bash
# Fetch a version of ONNX Runtime Web from npm: ./update.sh 1.30.0
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
archive=$(npm pack --silent --pack-destination "$folder" "onnxruntime-web@$1")
tar -xzf "$folder/$archive" -C "$folder"
gzip -9 -n -c "$folder/package/dist/ort.wasm.bundle.min.mjs" > ort.mjs.gz
gzip -9 -n -c "$folder/package/dist/ort-wasm-simd-threaded.wasm" > ort.wasm.gz
sed -i "1s/Web [^,]*,/Web $1,/" README.md
