# aevb with PyTorch for CPUs. Build: docker build -t aevb . Use: docker run --rm -v "$PWD:/work" aevb train digits

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
COPY --from=build /wheels /wheels
# The index of PyTorch has builds without CUDA, which are a tenth of the size.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu /wheels/*.whl && rm -r /wheels
RUN useradd --create-home aevb && mkdir /work && chown aevb /work
USER aevb
WORKDIR /work
ENTRYPOINT ["aevb"]
CMD ["--help"]
