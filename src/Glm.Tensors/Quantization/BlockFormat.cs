namespace Glm.Tensors;

/// <summary>
/// GGUF's block formats (spec 10.2): a row is cut into blocks of 32 values; a block is a binary16 scale d and 32 integers.
/// Q4_0: byte j holds value j in its low and value j + 16 in its high nibble, v = d (nibble - 8). Q8_0: v = d * signed byte.
/// </summary>
internal static unsafe class BlockFormat
{
    /// <summary>Values per block.</summary>
    public const int Values = 32;

    /// <summary>Bytes of a scale.</summary>
    public const int ScaleBytes = sizeof(ushort);

    /// <summary>Bytes per block, scale included.</summary>
    public static int Bytes(DType type) => type == DType.Q4_0 ? ScaleBytes + Values / 2 : ScaleBytes + Values;

    /// <summary>Values [<paramref name="start"/>, + <paramref name="count"/>) of the row that begins with the block at <paramref name="row"/>.</summary>
    public static void Decode(byte* row, DType type, long start, long count, float* target)
    {
        int bytes = Bytes(type);
        for (long i = start, end = start + count; i < end;)
        {
            byte* block = row + i / Values * bytes;
            int first = (int)(i % Values), last = (int)Math.Min(Values, end - i + first);
            if (type == DType.Q4_0) DecodeQ4(block, first, last, target);
            else DecodeQ8(block, first, last, target);
            target += last - first;
            i += last - first;
        }
    }

    /// <summary>Stores values in blocks.</summary>
    /// <exception cref="GlmException">They are no whole blocks, or one is not finite or too large for a binary16 scale.</exception>
    public static void Encode(float* values, DType type, byte* blocks, long count)
    {
        if (count % Values != 0) throw new GlmException($"values to quantise: expected a multiple of {Values} for {type}, found {count}");
        for (long i = 0; i < count; i += Values, blocks += Bytes(type))
        {
            var block = new ReadOnlySpan<float>(values + i, Values);
            foreach (float value in block)
                if (!float.IsFinite(value)) throw new GlmException($"values to quantise: expected finite numbers, found {value}");
            Encode(block, type, blocks);
            if (!Half.IsFinite(*(Half*)blocks)) throw new GlmException($"values to quantise: expected numbers that {type} can hold, found larger ones");
        }
    }

    /// <summary>Stores 32 values in a block, as the original does: the unrounded scale gives the integers.</summary>
    public static void Encode(ReadOnlySpan<float> values, DType type, byte* block)
    {
        float scale;
        byte* data = block + ScaleBytes;
        if (type == DType.Q4_0)
        {
            float extreme = 0;
            foreach (float value in values)
                if (Math.Abs(value) > Math.Abs(extreme)) extreme = value;
            scale = extreme / -8;
            float inverse = scale == 0 ? 0 : 1 / scale;
            for (int j = 0; j < Values / 2; j++)
                data[j] = (byte)(Nibble(values[j] * inverse) | Nibble(values[j + Values / 2] * inverse) << 4);
        }
        else
        {
            float largest = 0;
            foreach (float value in values) largest = Math.Max(largest, Math.Abs(value));
            scale = largest / 127;
            float inverse = scale == 0 ? 0 : 1 / scale;
            for (int j = 0; j < Values; j++) data[j] = (byte)(sbyte)MathF.Round(values[j] * inverse, MidpointRounding.AwayFromZero);
        }
        *(Half*)block = (Half)scale;
    }

    private static int Nibble(float value) => Math.Clamp((int)(value + 8.5f), 0, 15);

    private static void DecodeQ4(byte* block, int first, int last, float* target)
    {
        float scale = (float)*(Half*)block;
        byte* data = block + ScaleBytes;
        for (int j = first; j < last; j++)
            *target++ = scale * ((j < Values / 2 ? data[j] & 15 : data[j - Values / 2] >> 4) - 8);
    }

    private static void DecodeQ8(byte* block, int first, int last, float* target)
    {
        float scale = (float)*(Half*)block;
        sbyte* data = (sbyte*)block + ScaleBytes;
        for (int j = first; j < last; j++) *target++ = scale * data[j];
    }
}
