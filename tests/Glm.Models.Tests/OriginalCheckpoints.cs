using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>The tiny model in the original's files, of several precisions and tensor-parallel degrees.</summary>
internal static class OriginalCheckpoints
{
    public static string Folder => Path.Combine(TestFiles.Reference, "glm130b-tiny-checkpoints");

    /// <summary>The names of the checkpoints, such as fp16-tp2.</summary>
    public static string[] Names => [.. Directory.GetDirectories(Folder).Where(SatCheckpoint.IsCheckpoint).Select(path => Path.GetFileName(path)).Order()];

    /// <summary>What is before the degree: fp16, fp32, int8, int4.</summary>
    public static string Precision(string name) => name.Split('-')[0];

    public static SatCheckpoint Open(string name) => SatCheckpoint.Open(Path.Combine(Folder, name));

    public static byte[] Bytes(Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        tensor.CopyBytesTo(bytes);
        return bytes;
    }

    public static void RequireEqual(string what, Tensor expected, Tensor found)
    {
        Assert.Equal($"{what}: {expected}", $"{what}: {found}");
        Assert.True(Bytes(expected).SequenceEqual(Bytes(found)), what);
        Assert.Equal(expected.Scales?.ToString(), found.Scales?.ToString());
        if (expected.Scales is { } scales) Assert.True(Bytes(scales).SequenceEqual(Bytes(found.Scales!)), what + ": scales");
    }
}
