using Glm.Tensors;

namespace Glm.Models;

/// <summary>What a model is converted to.</summary>
public enum ConversionFormat
{
    /// <summary>Our model directory: <c>config.json</c>, safetensors with norms and biases in float32, the tokenizer.</summary>
    Native,

    /// <summary>A directory as hubs have it, with safetensors.</summary>
    Safetensors,

    /// <summary>A directory as hubs have it, with PyTorch files.</summary>
    Torch,

    /// <summary>GLM-130B's own layout: a file for each tensor-parallel rank (spec 7.1).</summary>
    Sat,

    /// <summary>A GGUF file.</summary>
    Gguf,
}

/// <summary>How a model is converted.</summary>
public sealed record ConversionOptions
{
    /// <summary>Where a file of a sharded result ends: 5 GB, as hubs have it.</summary>
    private const long StandardFileBytes = 5_000_000_000;

    /// <summary>The format of the result.</summary>
    public ConversionFormat Format { get; init; } = ConversionFormat.Native;

    /// <summary>Ranks of the result; as many as the source has if null.</summary>
    public int? TensorParallel { get; init; }

    /// <summary>What matrices are quantised to: by row in directories, in blocks in GGUF files; not at all if null.</summary>
    public DType? Quantize { get; init; }

    /// <summary>Floating-point type of what is not quantised; as it is stored if null.</summary>
    public DType? Type { get; init; }

    /// <summary>Whether the matrices of a quantised source are expanded first.</summary>
    public bool Requantize { get; init; }

    /// <summary>Names of files that go along from directory to directory: those of vocabularies.</summary>
    public IReadOnlyList<string> Companions { get; init; } = [];

    /// <summary>The <c>tokenizer.model</c> of a directory whose source is a file; none if null.</summary>
    public byte[]? TokenizerModel { get; init; }

    /// <summary>Metadata of a GGUF file that say its vocabulary; one without a vocabulary if null.</summary>
    public IReadOnlyList<KeyValuePair<string, object>>? Vocabulary { get; init; }

    /// <summary>The most bytes of tensors in a file of a directory, unless a single tensor has more.</summary>
    internal long FileBytes { get; init; } = StandardFileBytes;
}

/// <summary>How far a conversion is.</summary>
/// <param name="DoneBytes">Bytes of tensors that are written, those of files that an interrupted conversion left included.</param>
/// <param name="TotalBytes">Bytes of all tensors of the result.</param>
public sealed record ConversionProgress(long DoneBytes, long TotalBytes);

/// <summary>What a conversion made.</summary>
/// <param name="Output">The directory or file.</param>
/// <param name="Architecture">The architecture of the model.</param>
/// <param name="Files">Number of files with tensors.</param>
/// <param name="ResumedFiles">Those that an interrupted conversion had left.</param>
/// <param name="Bytes">Bytes of the tensors.</param>
/// <param name="Companions">The files that went along.</param>
public sealed record ConversionResult(string Output, string Architecture, int Files, int ResumedFiles, long Bytes, IReadOnlyList<string> Companions);
