using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Glm.Evaluation;

/// <summary>A hash that tells models apart without reading hundreds of gigabytes: names, sizes, and of each large file its beginning, middle and end.</summary>
public static class ModelHash
{
    private const int Whole = 64 << 20, Sample = 1 << 20;

    /// <summary>The hash of the file or directory of a model, 16 hexadecimal digits.</summary>
    /// <exception cref="GlmException">It cannot be read.</exception>
    public static string Of(string path)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        bool isFolder = Directory.Exists(path);
        string[] files = isFolder ? [.. Directory.GetFiles(path, "*", SearchOption.AllDirectories).Where(file => IsModel(Path.GetRelativePath(path, file))).Order(StringComparer.Ordinal)] : [path];
        byte[] buffer = new byte[Sample];
        try
        {
            foreach (string file in files)
            {
                using var stream = File.OpenRead(file);
                hash.AppendData(Encoding.UTF8.GetBytes(isFolder ? Path.GetRelativePath(path, file).Replace('\\', '/') : "model"));
                BinaryPrimitives.WriteInt64LittleEndian(buffer, stream.Length);
                hash.AppendData(buffer.AsSpan(0, sizeof(long)));
                if (stream.Length <= Whole)
                    for (int read; (read = stream.Read(buffer)) > 0;) hash.AppendData(buffer.AsSpan(0, read));
                else
                    foreach (long start in new[] { 0, stream.Length / 2, stream.Length - Sample })
                    {
                        stream.Position = start;
                        stream.ReadExactly(buffer);
                        hash.AppendData(buffer);
                    }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }

    /// <summary>Weights, configuration and tokenizer; what people and programs put beside a model (a card, plots and logs, what was measured of it, a cache) does not change it.</summary>
    private static bool IsModel(string file) =>
        Path.GetExtension(file).ToLowerInvariant() is ".safetensors" or ".bin" or ".pt" or ".gguf" or ".model" or ".json" or ".txt"
        && Path.GetFileName(file) != "measured.json"
        && !file.StartsWith($"log{Path.DirectorySeparatorChar}", StringComparison.Ordinal);
}
