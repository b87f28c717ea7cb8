using Glm.Tensors;

namespace Glm.Models;

/// <summary>What can be converted to what, and the types that tensors become (docs/formats.md).</summary>
/// <param name="source">The source.</param>
/// <param name="options">What is wanted.</param>
internal sealed class ConversionRules(ConversionSource source, ConversionOptions options)
{
    private ConversionFormat Format => options.Format;

    private bool RowsAreQuantized => options.Quantize is DType.Int8 or DType.Int4;

    /// <summary>Ranks of the result.</summary>
    public int Ranks => options.TensorParallel ?? (Format == ConversionFormat.Sat && Keeps ? Math.Max(source.Ranks, source.Segments) : source.Ranks);

    /// <summary>Whether matrices that are quantised by row become dense: since they are to be quantised anew, or since GGUF has nothing like them.</summary>
    public bool Expands => source.Segments > 0 && (options.Requantize || Format == ConversionFormat.Gguf);

    private bool Keeps => source.Segments > 0 && !Expands;

    /// <summary>Refuses what has no meaning.</summary>
    /// <exception cref="GlmException">It has none.</exception>
    public void Check()
    {
        string format = Format.ToString().ToLowerInvariant();
        Require(Format != ConversionFormat.Sat || source.Config is Glm130BConfig, "format sat", $"a model of GLM-130B's architecture, whose layout it is, found {source.Config.Architecture}");
        Require(Format != ConversionFormat.Gguf || source.Config is ChatGlm2Config, "format gguf",
            $"ChatGLM2, ChatGLM3 or GLM-4, found {source.Config.Architecture}: {(source.Config is BloomConfig ? "its form in GGUF is not written here" : "GGUF has no such architecture")}");
        Require(options.TensorParallel is null || Format == ConversionFormat.Sat, "tensor-parallel", $"format sat, which alone has a file for each rank, found format {format}");
        if (options.Quantize is { } type)
        {
            Require(type.IsBlock() == (Format == ConversionFormat.Gguf), $"quantize {type.ToString().ToLowerInvariant()}",
                type.IsBlock() ? $"format gguf, which alone holds blocks, found format {format}" : "another format than gguf, which has blocks (q8_0, q4_0) and no scales by row");
            Require(!source.IsQuantized || options.Requantize, "quantize", "floating-point matrices, found quantised ones: requantize expands them first, with the loss of both");
        }
        if (Format == ConversionFormat.Sat) CheckRanks();
        Require(!(Keeps && source.Segments > 1 && Format is ConversionFormat.Safetensors or ConversionFormat.Torch), $"format {format}",
            $"one scale for each row, found those of {source.Segments} ranks: format native holds them, requantize makes new ones");
    }

    /// <summary>What a tensor of the source becomes.</summary>
    /// <exception cref="GlmException">The format cannot hold it.</exception>
    public DType TypeOf(SourceTensor tensor)
    {
        if (!tensor.IsParameter || !(tensor.Type.IsFloat() || tensor.Type.IsBlock())) return tensor.Type;
        bool inGguf = Format == ConversionFormat.Gguf, isMatrix = tensor.Shape.Length > 1;
        if (!isMatrix) return inGguf || Format == ConversionFormat.Native ? DType.Float32 : options.Type ?? tensor.Type;
        if (RowsAreQuantized && source.Config.IsQuantizable(tensor.Name)) return options.Quantize!.Value;
        // The output matrix decides between tokens: four bits are too few for it, as llama.cpp has it, too.
        if (inGguf && options.Quantize is { } blocks) return blocks == DType.Q4_0 && tensor.Name == ChatGlm2.OutputName ? DType.Q8_0 : blocks;
        if (options.Type is { } type) return type;
        if (tensor.Type.IsBlock()) return inGguf && !options.Requantize ? tensor.Type : DType.BFloat16;
        // Beside quantised matrices, 16 bits are enough for the embedding: float16 as the originals have it, bfloat16 in directories of ours.
        return RowsAreQuantized && tensor.Type == DType.Float32 ? Format == ConversionFormat.Native ? DType.BFloat16 : DType.Float16 : tensor.Type;
    }

    private void CheckRanks()
    {
        Require(Ranks % source.Ranks == 0 || source.Ranks % Ranks == 0, "tensor-parallel", $"a multiple or a divisor of the {source.Ranks} ranks of the source, found {Ranks}");
        Require(!Keeps || Ranks == source.Segments, "tensor-parallel",
            $"{source.Segments}, since every rank of a quantised model has scales of its own, found {Ranks}: requantize makes new ones");
    }

    private void Require(bool holds, string option, string expected)
    {
        if (!holds) throw new GlmException($"{source.Path}: {option}: expected {expected}");
    }
}
