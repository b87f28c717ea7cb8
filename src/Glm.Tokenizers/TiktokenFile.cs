using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>A vocabulary in tiktoken's text form: lines of a token in base64, a space, and its rank, which counts from 0 (ChatGLM spec 12.5).</summary>
internal static class TiktokenFile
{
    /// <summary>Whether bytes begin like such a file.</summary>
    public static bool Recognises(ReadOnlySpan<byte> bytes)
    {
        int end = bytes[..Math.Min(bytes.Length, 1024)].IndexOf((byte)'\n');
        if (end < 0) end = bytes.Length;
        return end is > 0 and < 1024 && TryParse(bytes[..end], out _, out _);
    }

    /// <summary>The tokens, in the order of their ranks.</summary>
    /// <exception cref="GlmException">A line has another form, or a rank is out of order.</exception>
    public static byte[][] Parse(ReadOnlySpan<byte> bytes, string file)
    {
        var tokens = new List<byte[]>();
        for (int line = 1; !bytes.IsEmpty; line++)
        {
            int end = bytes.IndexOf((byte)'\n');
            var text = end < 0 ? bytes : bytes[..end];
            bytes = end < 0 ? default : bytes[(end + 1)..];
            if (!TryParse(text, out byte[] token, out int rank))
                throw new GlmException($"{file}: line {line}: expected a token in base64 and its rank, found {text.Length} other bytes");
            if (rank != tokens.Count) throw new GlmException($"{file}: line {line}: expected rank {tokens.Count}, found {rank}");
            tokens.Add(token);
        }
        return [.. tokens];
    }

    /// <summary>The file of tokens in the order of their ranks.</summary>
    public static byte[] Write(IReadOnlyList<byte[]> tokens) =>
        Encoding.ASCII.GetBytes(string.Concat(tokens.Select((token, rank) => string.Create(CultureInfo.InvariantCulture, $"{Convert.ToBase64String(token)} {rank}\n"))));

    private static bool TryParse(ReadOnlySpan<byte> line, out byte[] token, out int rank)
    {
        if (line.EndsWith("\r"u8)) line = line[..^1];
        (token, rank) = ([], -1);
        int space = line.IndexOf((byte)' ');
        if (space < 1 || !int.TryParse(line[(space + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out rank)) return false;
        var buffer = new byte[Base64.GetMaxDecodedFromUtf8Length(space)];
        if (Base64.DecodeFromUtf8(line[..space], buffer, out _, out int written) != OperationStatus.Done) return false;
        token = buffer[..written];
        return true;
    }
}
