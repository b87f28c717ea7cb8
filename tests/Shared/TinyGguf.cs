namespace Glm.Tests;

/// <summary>A random model of the architecture "chatglm" as a GGUF file: 2 layers, hidden 64, 4 heads of 16 in 2 groups, inner 96, 512 ids, 128 positions.</summary>
internal sealed class TinyGguf
{
    public const int Layers = 2, Hidden = 64, Inner = 96, Heads = 4, Groups = 2, HeadSize = Hidden / Heads, Vocabulary = 512, Positions = 128;

    private readonly Random _random = new(5);

    /// <summary>The type of matrices: 0 F32, 1 F16, 2 Q4_0, 3 Q4_1, 6 Q5_0, 7 Q5_1, 8 Q8_0.</summary>
    public uint MatrixType { get; init; }

    /// <summary>Another type for the matrices of values, where those are separate.</summary>
    public uint? ValueType { get; init; }

    /// <summary>Whether queries, keys and values are matrices of their own.</summary>
    public bool Separate { get; init; }

    /// <summary>Whether the output matrix is left out, the embedding standing in its place.</summary>
    public bool Tied { get; init; }

    /// <summary>A metadata key to write with another value, or with null not at all.</summary>
    public (string Key, object? Value) Changed { get; init; }

    /// <summary>Whether the vocabulary of a ChatGLM3 is in the file: every byte, the space, and the special tokens from id <see cref="FirstSpecial"/>.</summary>
    public bool WithVocabulary { get; init; }

    /// <summary>The id of [MASK] in that vocabulary; the roles begin 5 ids later.</summary>
    public const int FirstSpecial = 3 + 256 + 1;

    /// <summary>A tensor to leave out.</summary>
    public string? Missing { get; init; }

    public byte[] ToArray()
    {
        var writer = new RawGguf();
        foreach (var (key, value) in new (string, object)[]
        {
            ("general.architecture", "chatglm"), ("chatglm.context_length", (uint)Positions), ("chatglm.embedding_length", (uint)Hidden),
            ("chatglm.feed_forward_length", (uint)Inner), ("chatglm.block_count", (uint)Layers), ("chatglm.attention.head_count", (uint)Heads),
            ("chatglm.attention.head_count_kv", (uint)Groups), ("chatglm.attention.layer_norm_rms_epsilon", 1e-5f),
            ("chatglm.rope.dimension_count", (uint)HeadSize / 2), ("chatglm.rope.freq_base", 10000f),
        })
            if (key != Changed.Key) writer.Add(key, value);
        if (Changed is { Key: not null, Value: { } other }) writer.Add(Changed.Key, other);
        if (WithVocabulary) AddVocabulary(writer);
        Matrix(writer, "token_embd.weight", Vocabulary, Hidden);
        for (int i = 0; i < Layers; i++)
        {
            string block = $"blk.{i}.";
            Vector(writer, block + "attn_norm.weight", Hidden, 1);
            foreach (var (name, heads) in Separate ? [("attn_q", Heads), ("attn_k", Groups), ("attn_v", Groups)] : new[] { ("attn_qkv", Heads + 2 * Groups) })
            {
                Matrix(writer, $"{block}{name}.weight", heads * HeadSize, Hidden);
                Vector(writer, $"{block}{name}.bias", heads * HeadSize, 0);
            }
            Matrix(writer, block + "attn_output.weight", Hidden, Hidden);
            Vector(writer, block + "ffn_norm.weight", Hidden, 1);
            Matrix(writer, block + "ffn_up.weight", 2 * Inner, Hidden);
            Matrix(writer, block + "ffn_down.weight", Hidden, Inner);
        }
        Vector(writer, "output_norm.weight", Hidden, 1);
        if (!Tied) Matrix(writer, "output.weight", Vocabulary, Hidden);
        return writer.ToArray();
    }

    private static void AddVocabulary(RawGguf writer)
    {
        string[] special = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"];
        string[] tokens = ["<unk>", "<bos>", "<eos>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>"), "\u2581", .. special];
        tokens = [.. tokens, .. Enumerable.Range(tokens.Length, Vocabulary - tokens.Length).Select(id => $"[PAD{id}]")];
        int[] types = [2, 3, 3, .. Enumerable.Repeat(6, 256), 1, .. Enumerable.Repeat(3, special.Length)];
        writer.Add("tokenizer.ggml.model", "llama").Add("tokenizer.ggml.pre", "chatglm-spm").Add("tokenizer.ggml.tokens", tokens)
            .Add("tokenizer.ggml.scores", new float[Vocabulary]).Add("tokenizer.ggml.token_type", (int[])[.. types, .. Enumerable.Repeat(5, Vocabulary - types.Length)]);
    }

    private void Vector(RawGguf writer, string name, int size, float mean)
    {
        if (name != Missing) writer.AddTensor(name, Values(size, mean), size);
    }

    private void Matrix(RawGguf writer, string name, int rows, int columns)
    {
        if (name == Missing) return;
        uint type = name.Contains("attn_v", StringComparison.Ordinal) ? ValueType ?? MatrixType : MatrixType;
        byte[] data = type switch
        {
            0 => [.. Values(rows * columns, 0).SelectMany(BitConverter.GetBytes)],
            1 => [.. Values(rows * columns, 0).SelectMany(v => BitConverter.GetBytes((Half)v))],
            2 => Blocks(rows * columns / 32, 16, 0.02f),
            3 => Blocks(rows * columns / 32, 18, 0.02f, minimum: -0.15f),
            6 => Blocks(rows * columns / 32, 20, 0.01f),
            7 => Blocks(rows * columns / 32, 22, 0.01f, minimum: -0.15f),
            8 => Blocks(rows * columns / 32, 32, 0.001f),
            _ => throw new InvalidOperationException($"type {type}"),
        };
        writer.AddTensor(name, type, data, rows, columns);
    }

    private float[] Values(int count, float mean) => [.. Enumerable.Range(0, count).Select(_ => mean + (_random.NextSingle() - 0.5f) / 4)];

    /// <summary>Blocks of a binary16 scale, perhaps a minimum, and random bytes.</summary>
    private byte[] Blocks(int count, int bytes, float scale, float? minimum = null)
    {
        byte[] data = new byte[count * (2 + bytes)];
        _random.NextBytes(data);
        for (int i = 0; i < count; i++) BitConverter.GetBytes((Half)(scale * (0.5f + _random.NextSingle()))).CopyTo(data, i * (2 + bytes));
        for (int i = 0; i < count && minimum is { } m; i++) BitConverter.GetBytes((Half)m).CopyTo(data, i * (2 + bytes) + 2);
        return data;
    }
}
