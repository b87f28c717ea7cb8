using System.Text.Json;
using System.Text.Json.Serialization;

namespace Glm.Hub;

/// <summary>What is known beside a part file: of which content it is, and how much of each range is there.</summary>
internal sealed record PartState(string Path, string Hash, long Size, long RangeBytes, long[] Done)
{
    private const int LargestState = 64 << 20;

    public static string FileOf(string part) => part + ".json";

    /// <summary>The state of a part file that can be gone on with, or null: none, a damaged one, or one of other content, as of a hub's file that has changed.</summary>
    public static PartState? Load(string part, HubFile file, long rangeBytes)
    {
        var (saved, content) = (new FileInfo(FileOf(part)), new FileInfo(part));
        if (!saved.Exists || saved.Length > LargestState || !content.Exists || content.Length != file.Size) return null;
        try
        {
            var state = JsonSerializer.Deserialize(File.ReadAllBytes(saved.FullName), PartStateJson.Default.PartState);
            return state is not null && state.Hash == file.Hash.Hex && state.Size == file.Size && state.RangeBytes == rangeBytes && state.Done.Length == RangeCount(file.Size, rangeBytes)
                && state.Done.Index().All(range => range.Item >= 0 && range.Item <= LengthOf(range.Index, file.Size, rangeBytes)) ? state : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public void Save(string part) => AtomicFile.Write(FileOf(part), stream => JsonSerializer.Serialize(stream, this, PartStateJson.Default.PartState));

    public static int RangeCount(long size, long rangeBytes) => (int)((size + rangeBytes - 1) / rangeBytes);

    public static long LengthOf(int range, long size, long rangeBytes) => Math.Min(rangeBytes, size - range * rangeBytes);
}

/// <summary>JSON of the state, with snake_case names.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(PartState))]
internal sealed partial class PartStateJson : JsonSerializerContext;
